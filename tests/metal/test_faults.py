"""Kernels with one fault each: the machine finds every one, at its line, with an ordinary compiler and in every schedule."""
import numpy as np
import pytest

from machine import Fault, Machine, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "")

ARGUMENTS = """device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
    uint t [[thread_index_in_threadgroup]], uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]"""


def source(body, before="", arguments=ARGUMENTS):
    """A kernel `k`; the faulty line ends with // here."""
    return f'#include "common.h"\n{before}\n[[kernel]] void k({arguments}) {{\n{body}\n}}\n'


def line_of(text):
    return next(n for n, row in enumerate(text.split("\n"), 1) if "// here" in row)


@pytest.fixture(scope="module")
def machine():
    return Machine(checked=True)


SHARED = "threadgroup float s[64];\n"
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);\n"

# name: (body, message, before the kernel)
RUNNING = {
    "missing_barrier": (SHARED + "s[t] = in[t];\nout[t] = s[(t + 1) % 64];  // here", "race|no thread has written"),
    "race_after_initialisation": (SHARED + "s[t] = 0.0f;\n" + BARRIER + "s[t] = in[t];\nout[t] = s[63 - t];  // here", "race"),
    "race_in_second_iteration": (
        SHARED + "float a = 0.0f;\nfor (int n = 0; n < 4; ++n) {\n  s[t] = in[t];  // here\n" + BARRIER + "  a += s[(t + 1) % 64];\n}\nout[t] = a;", "race"),
    "two_threads_write_one_element": (SHARED + "s[t / 2] = in[t];  // here\n" + BARRIER + "out[t] = s[0];", "race"),
    "race_across_threadgroups": ("out[t] = in[i];  // here", "nothing orders threadgroups"),
    "threadgroups_read_what_others_write": ("out[i] = in[i];\nif (i > 63) out[i] += out[i - 64];  // here", "race"),
    "barrier_for_other_memory": (
        "out[i] = in[i];\n" + BARRIER + "float v = out[i ^ 1];  // here\nthreadgroup_barrier(mem_flags::mem_device);\nout[i] = v;", "race"),
    "simd_barrier_between_simd_groups": (
        SHARED + "s[t] = 1.0f;\n" + BARRIER + "s[t] = in[t];\nsimdgroup_barrier(mem_flags::mem_threadgroup);\nout[i] = s[63 - t];  // here", "race"),
    "atomic_and_plain": (
        "threadgroup atomic_uint n;\nif (t == 0) atomic_store_explicit(&n, 0u, memory_order_relaxed);\n" + BARRIER +
        "atomic_fetch_add_explicit(&n, 1u, memory_order_relaxed);  // here\nthreadgroup uint* p = (threadgroup uint*)&n;\n"
        "if (t == 40) *p = 7;\n" + BARRIER + "out[i] = float(*p);", "race"),
    "barrier_in_a_branch": (SHARED + "s[t] = in[t];\nif (t < 10) {\n  threadgroup_barrier(mem_flags::mem_threadgroup);  // here\n}\nout[i] = s[t];",
                            "not every thread of the threadgroup gets there"),
    "barrier_after_return": ("if (t >= 50) return;\nthreadgroup_barrier(mem_flags::mem_threadgroup);  // here\nout[i] = 0.0f;",
                             "not every thread of the threadgroup gets there"),
    "barrier_in_a_loop_of_different_counts": (
        "for (uint n = 0; n < t % 2 + 1; ++n) {\n  threadgroup_barrier(mem_flags::mem_device);  // here\n}\nout[i] = 0.0f;",
        "not every thread of the threadgroup gets there"),
    "two_barriers_by_branch": (
        "if (t % 2 == 0) {\n  threadgroup_barrier(mem_flags::mem_none); } else {\n  threadgroup_barrier(mem_flags::mem_none); /* or */ }  // here",
        "another barrier"),
    "simd_sum_by_branch": ("if (lane % 2 == 0) { out[i] = simd_sum(in[t]); }\nelse { out[i] = simd_max(in[t]); }  // here", "another operation"),
    "shuffle_and_barrier": ("if (lane < 16) { out[i] = simd_shuffle(in[t], 3); }  // here\nelse { threadgroup_barrier(mem_flags::mem_none); }",
                            "not every lane gets there"),
    "matrix_without_all_lanes": (
        "simdgroup_float8x8 m;\nif (lane == 5) return;\nsimdgroup_load(m, in, 8);  // here\nsimdgroup_store(m, out, 8);", "not all 32 lanes"),
    "reads_behind_a_buffer": ("out[i] = in[i + 1];  // here", "out of bounds"),
    "reads_before_a_buffer": ("out[i] = in[long(i) - 2];  // here", "out of bounds"),
    "writes_behind_a_buffer": ("out[i + 1] = in[i];  // here", "out of bounds"),
    "vector_over_the_end": ("device const float4* v = (device const float4*)in;\nout[i] = v[i / 4 + (i == 127 ? 1 : 0)].w;  // here", "out of bounds"),
    "reads_behind_threadgroup_memory": (SHARED + "s[t] = in[t];\n" + BARRIER + "threadgroup float* p = s;\nout[i] = p[t + 1];  // here", "out of bounds"),
    "writes_behind_threadgroup_memory": ("threadgroup float s[63];\nthreadgroup float* p = s;\np[t] = in[t];  // here\n", "out of bounds"),
    "index_of_an_array": (SHARED + "s[t + 1] = in[t];  // here", "index 64 is out of the array's bounds"),
    "index_of_private_memory": ("float a[4] = {0.0f, 1.0f, 2.0f, 3.0f};\nout[i] = a[uint(in[t]) % 5];  // here", "index 4 is out of the array's bounds"),
    "uninitialised_threadgroup_memory": (SHARED + "if (t < 10) s[t] = in[t];\n" + BARRIER + "out[i] = s[t];  // here", "which no thread has written"),
    "misaligned_vector": ("device const float4* v = (device const float4*)(in + t % 2);\nout[i] = v[0].x;  // here", "not aligned"),
    "division_by_zero": ("out[i] = float(100 / int(in[0]));  // here", "divided by zero"),
    "matrix_races_with_threads": (
        "threadgroup float s[64];\ns[t] = in[t];\nsimdgroup_float8x8 m;\nsimdgroup_load(m, s, 8);  // here\nsimdgroup_store(m, out, 8);", "race|no thread has written"),
    "race_of_bytes": ("device uchar* p = (device uchar*)out;\np[i / 2] = uchar(t);  // here", "race"),
}


@pytest.mark.parametrize("schedule", [0, 1, 12345], ids=["in_order", "reversed", "random"])
@pytest.mark.parametrize("name", RUNNING)
def test_a_fault_is_found_at_its_line(machine, name, schedule):
    body, message = RUNNING[name][:2]
    text = source(body)
    library = machine.library(text)
    n = 128
    values, out = np.arange(n, dtype=np.float32), np.zeros(n, np.float32)
    with pytest.raises(Fault) as fault:
        library.run("k", [values, out], n, 64, schedule=schedule)
    told = str(fault.value)
    assert any(m in told for m in message.split("|")), told
    # Of two accesses that race, the schedule decides which comes second: the line is in the message in any case.
    assert f"source.metal:{line_of(text)}" in told or "branch" in name and "source.metal:" in told, told
    assert "kernel k" in told


# What a dispatch may not do. name: (kernel, changes of the dispatch, message)
PLAIN = source("out[i] = in[i];")
CONSTANTS = source("out[i] = in[i] * factor;  // here", "constant float factor [[function_constant(3)]];")
REFERENCE = source("out[i] = in[i] * p.b;", "struct P { float a, b; };",
                   ARGUMENTS.replace("uint t", "constant P& p [[buffer(2)]], uint t"))
DYNAMIC = source("s[t] = in[t];\nout[i] = s[t];", "", ARGUMENTS.replace("uint t", "threadgroup float* s [[threadgroup(0)]], uint t"))
DISPATCHES = {
    "unset_binding": (PLAIN, {"buffers": {0: "in"}}, r"buffer\(1\) \(out\) is not bound"),
    "too_many_threads": (PLAIN, {"group": 1025, "threads": 2050}, "there may be 1024"),
    "more_threads_than_the_kernel_allows": (PLAIN.replace("[[kernel]]", "[[kernel]] [[max_total_threads_per_threadgroup(32)]]"), {}, "there may be 32"),
    "no_threads": (PLAIN, {"threads": 0}, "no threads"),
    "constant_without_a_value": (CONSTANTS, {}, r"function constant 3 \(factor\) has no value"),
    "constant_of_another_type": (CONSTANTS, {"constants": [(3, "int", 2)]}, "is float; the value given is int"),
    "constant_that_does_not_exist": (CONSTANTS, {"constants": [(3, "float", 2), (4, "float", 2)]}, "does not have"),
    "too_few_bytes_for_a_reference": (REFERENCE, {"buffers": {0: "in", 1: "out", 2: "small"}}, r"buffer\(2\) \(p\) has 4 bytes; its type has 8"),
    "misaligned_buffer": (PLAIN, {"buffers": {0: "in", 1: "odd"}}, "not aligned to 4 bytes"),
    "threadgroup_argument_without_length": (DYNAMIC, {}, r"threadgroup\(0\) \(s\) has no length"),
    "threadgroup_length_of_odd_bytes": (DYNAMIC, {"threadgroup": {0: 24}}, "multiple of 16"),
    "threadgroup_arguments_too_large": (DYNAMIC, {"threadgroup": {0: 32784}}, "there are 32768"),
    "threadgroup_argument_too_short": (DYNAMIC, {"threadgroup": {0: 128}}, "out of bounds"),
    "too_much_threadgroup_memory": (source("threadgroup float s[9000];\ns[t] = in[t];\nout[i] = s[t];"), {}, "36000 bytes; there are 32768"),
}


@pytest.mark.parametrize("name", DISPATCHES)
def test_a_wrong_dispatch_is_refused(machine, name):
    text, changes, message = DISPATCHES[name]
    n = 128
    arrays = {"in": np.ones(n, np.float32), "out": np.zeros(n, np.float32), "small": np.zeros(1, np.float32),
              "odd": np.zeros(4 * n + 8, np.uint8)[1:4 * n + 1]}
    how = {"buffers": {0: "in", 1: "out"}, "threads": n, "group": 64, **changes}
    how["buffers"] = {slot: arrays[a] for slot, a in how["buffers"].items()}
    with pytest.raises(Fault, match=message):
        machine.library(text).run("k", **how)


# What the translator refuses. name: (kernel, message)
REFUSED = {
    "recursion": (source("out[i] = f(3u);", "inline float f(uint n) {  // here\n  return n == 0 ? 0.0f : f(n - 1);\n}"), "f calls itself"),
    "recursion_by_two": (source("out[i] = f(3u);", "float g(uint n);\ninline float f(uint n) {  // here\n  return g(n);\n}\n"
                                "inline float g(uint n) {\n  return n ? f(n - 1) : 0.0f;\n}"), "calls itself"),
    "pointer_without_address_space": (source("out[i] = f(in + i);", "inline float f(const float* p) { return *p; }  // here"), "without an address space"),
    "reference_without_address_space": (source("f(out[i]);", "inline void f(float& p) { p = 1.0f; }  // here"), "without an address space"),
    "local_pointer_without_address_space": (source("const float* p = in;  // here\nout[i] = *p;"), "without an address space"),
    "member_without_address_space": (source("out[i] = 0.0f;", "struct A {\n  float* p;  // here\n};"), "without an address space"),
    "buffer_without_address_space": (source("out[0] = 1.0f;", "", "float* out [[buffer(0)]]  /*\n*/").replace("float* out", "float* out  ", 1), "address space"),
    "buffer_index_twice": (source("out[0] = in[0];", "", "device float* in [[buffer(0)]], device float* out [[buffer(0)]]"), "used twice"),
    "buffer_index_too_large": (source("out[0] = 1.0f;", "", "device float* out [[buffer(31)]]"), "the last slot is 30"),
    "unknown_attribute": (source("out[0] = 1.0f;", "", "device float* out [[buffer(0)]], uint i [[thread_number]]"), "no attribute that says"),
    "standard_library": (source("out[i] = std::exp(in[i]);  // here"), "std::"),
    "double": (source("out[i] = double(in[i]);  // here"), "double"),
    "exceptions": (source("throw 1;  // here"), "exceptions"),
    "virtual_functions": (source("out[i] = 0.0f;", "struct A { virtual void f() const thread; };  // here"), "virtual"),
    "lambda": (source("auto f = [](float x) { return x; };  // here\nout[i] = f(1.0f);"), "lambdas"),
    "atomics_of_64_bits": (source("out[i] = 0.0f;", "struct A { atomic_ulong n; };  // here"), "64-bit atomics"),
    "threadgroup_variable_in_a_function": (
        source("out[i] = f(t);", "inline float f(uint t) {\n  threadgroup float s[32];  // here\n  return s[t];\n}"), "outermost block of a kernel"),
    "threadgroup_variable_in_a_block": (source("if (t < 5) {\n  threadgroup float s[32];  // here\n  s[t] = 1.0f;\n}"), "outermost block"),
    "threadgroup_variable_with_a_value": (source("threadgroup float s = 0.0f;  // here"), "cannot be initialised"),
    "constant_index_twice": (source("out[i] = 0.0f;", "constant int a [[function_constant(0)]];\nconstant int b [[function_constant(0)]];  // here"), "twice"),
    "constant_of_a_wide_type": (source("out[i] = 0.0f;", "constant long a [[function_constant(0)]];  // here"), "scalars of at most 32 bits"),
    "constant_that_is_assigned_to": (source("a = 2;  // here", "constant int a [[function_constant(0)]];"), "source.metal"),
    "write_through_constant": (source("c[0] = 1.0f;  // here", "", "constant float* c [[buffer(0)]]"), "source.metal"),
    "instance_of_no_kernel": ('#include "common.h"\ntemplate <class T> void f(device T* p) {}\nINSTANTIATE("f", f, float)  // here\n', "no kernel"),
    "name_taken": (source("out[i] = 0.0f;") + 'template <class T> [[kernel]] void q(device T* p [[buffer(0)]]) {}\nINSTANTIATE("k", q, float)  // here\n', "taken"),
    "mixed_matrices": (source("simdgroup_float8x8 m;\nsimdgroup_load(m, (device const half*)in, 8);  // here"), "source.metal"),
    "syntax": (source("out[i] = in[i]  // here"), "source.metal"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_metal_does_not_have_is_refused(machine, name):
    text, message = REFUSED[name]
    with pytest.raises(Fault) as fault:
        machine.library(text)
    told = str(fault.value)
    assert message in told, told
    if "// here" in text and name != "syntax":
        assert f"source.metal:{line_of(text)}" in told, told


SOUND = {
    "barriers": SHARED + "float a = 0.0f;\nfor (int n = 0; n < 3; ++n) {\n  s[t] = in[t];\n" + BARRIER + "  a += s[63 - t];\n" + BARRIER + "}\nout[i] = a;",
    "within_a_simd_group": SHARED + "s[t] = in[t];\nsimdgroup_barrier(mem_flags::mem_threadgroup);\nfloat v = s[t ^ 1];\n"
                           "simdgroup_barrier(mem_flags::mem_threadgroup);\ns[t] = v;\nout[i] = s[t];",
    "return_before_a_simd_sum": "if (t >= 50) return;\nout[i] = simd_sum(in[t]);",
    "one_simd_group_works": SHARED + "s[t] = in[t];\n" + BARRIER + "if (t < 32) { s[t] = simd_sum(s[t] + s[t + 32]); }\n" + BARRIER + "out[i] = s[t % 32];",
    "device_memory": "out[i] = in[t];\nthreadgroup_barrier(mem_flags::mem_device);\nfloat v = out[i ^ 1];\n"
                     "threadgroup_barrier(mem_flags::mem_device);\nout[i] = v;",
    "atomics": "threadgroup atomic_uint n;\nif (t == 0) atomic_store_explicit(&n, 0u, memory_order_relaxed);\n" + BARRIER +
               "atomic_fetch_add_explicit(&n, t, memory_order_relaxed);\n" + BARRIER + "out[i] = float(atomic_load_explicit(&n, memory_order_relaxed));",
    "bytes": "device uchar* p = (device uchar*)out;\np[i] = uchar(t);",
}


@pytest.mark.parametrize("schedule", [0, 1, 99])
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_kernel_is_not_complained_about(machine, name, schedule):
    values, out = np.ones(128, np.float32), np.zeros(128, np.float32)
    machine.library(source(SOUND[name])).run("k", [values, out], 128, 64, schedule=schedule)
