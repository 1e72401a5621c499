"""Reads what matters of a 64-bit Mach-O file: its kind, the libraries that it loads, and its symbols with where they come from.

Formats are those of <mach-o/loader.h> and <mach-o/nlist.h>. Start at MachO.
"""

import dataclasses
import pathlib
import struct

CPU_ARM64 = 0x0100000C
LIBRARY, BUNDLE = 6, 8
_SYMTAB, _LOAD_DYLIB, _LOAD_WEAK_DYLIB, _REEXPORT_DYLIB, _RPATH, _BUILD_VERSION = 0x2, 0xC, 0x80000018, 0x8000001F, 0x8000001C, 0x32
# Found in whatever the process has loaded, as CPython's own symbols are. (Zig writes 0 for some.)
DYNAMIC_LOOKUP = (0xFE, 0)
_EXTERNAL, _TYPE, _STAB, _UNDEFINED = 0x01, 0x0E, 0xE0, 0x0
_WEAK_REFERENCE = 0x40


@dataclasses.dataclass
class Symbol:
    name: str
    defined: bool
    weak: bool
    library: str  # Where an undefined symbol is looked for: an install name, or "dynamic lookup".


class MachO:
    """The header, load commands and external symbols of the file `path`; ValueError if it is not a 64-bit Mach-O file."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        magic, self.cpu, _, self.kind, n_commands, _, _, _ = struct.unpack_from("<8I", data)
        if magic != 0xFEEDFACF:
            raise ValueError(f"{path}: not a 64-bit Mach-O file: it begins with {data[:4].hex()}")
        self.libraries, self.rpaths, self.symbols = [], [], []
        self.platform = self.minimum_os = None
        table = None
        at = 32
        for _ in range(n_commands):
            command, size = struct.unpack_from("<2I", data, at)
            if command in (_LOAD_DYLIB, _LOAD_WEAK_DYLIB, _REEXPORT_DYLIB):
                self.libraries.append(self._text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
            elif command == _RPATH:
                self.rpaths.append(self._text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
            elif command == _BUILD_VERSION:
                self.platform, version = struct.unpack_from("<2I", data, at + 8)
                self.minimum_os = (version >> 16, (version >> 8) & 0xFF)
            elif command == _SYMTAB:
                table = struct.unpack_from("<4I", data, at + 8)
            at += size
        if table:
            self._read_symbols(data, *table)

    @staticmethod
    def _text(data, at):
        return data[at : data.index(b"\0", at)].decode()

    def _read_symbols(self, data, at, count, strings, _):
        for i in range(count):
            name, kind, _, description, _ = struct.unpack_from("<IBBHQ", data, at + 16 * i)
            if kind & _STAB or not kind & _EXTERNAL:
                continue
            ordinal = description >> 8
            defined = kind & _TYPE != _UNDEFINED
            known = 1 <= ordinal <= len(self.libraries)
            library = "" if defined else self.libraries[ordinal - 1] if known else "dynamic lookup" if ordinal in DYNAMIC_LOOKUP else f"ordinal {ordinal}"
            self.symbols.append(Symbol(self._text(data, strings + name), defined, bool(description & _WEAK_REFERENCE), library))

    def undefined(self):
        return [s for s in self.symbols if not s.defined]

    def exported(self):
        return [s.name for s in self.symbols if s.defined]
