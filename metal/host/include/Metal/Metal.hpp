// Metal.hpp — the host double of the part of metal-cpp that the driver (csrc/backend/metal/driver) uses.
//
// Same names and signatures as Apple's; a Linux build finds this file where a Mac finds theirs. Behind it (metal/host/api_*.cpp) are
// command queues with threads of their own, kernels compiled for the host, and checks like those of Metal's validation layer.
// What tests may ask the double itself is in metal/host/api.h, not here.
#pragma once

#include <Foundation/Foundation.hpp>

namespace MTL {

class Allocation;
class BinaryArchive;
class BinaryArchiveDescriptor;
class Buffer;
class CommandBuffer;
class CommandBufferDescriptor;
class CommandQueue;
class CommandQueueDescriptor;
class CompileOptions;
class ComputeCommandEncoder;
class ComputePassDescriptor;
class ComputePipelineDescriptor;
class ComputePipelineReflection;
class ComputePipelineState;
class Device;
class Event;
class Fence;
class Function;
class FunctionConstantValues;
class Heap;
class HeapDescriptor;
class Library;
class LogState;
class ResidencySet;
class ResidencySetDescriptor;
class SharedEvent;

using CFTimeInterval = double;  // CoreFoundation's, which Apple's header brings
using GPUAddress = uint64_t;
using AutoreleasedComputePipelineReflection = MTL::ComputePipelineReflection*;
using HandlerFunction = std::function<void(CommandBuffer*)>;

struct Size {
  Size() = default;
  Size(NS::UInteger w, NS::UInteger h, NS::UInteger d) : width(w), height(h), depth(d) {}
  static Size Make(NS::UInteger w, NS::UInteger h, NS::UInteger d) { return Size(w, h, d); }
  NS::UInteger width;
  NS::UInteger height;
  NS::UInteger depth;
};

struct SizeAndAlign {
  NS::UInteger size;
  NS::UInteger align;
};

// ---- enumerations, with Apple's values

enum DataType : NS::UInteger {
  DataTypeNone = 0,
  DataTypeFloat = 3,
  DataTypeFloat2 = 4,
  DataTypeFloat4 = 6,
  DataTypeHalf = 16,
  DataTypeInt = 29,
  DataTypeInt2 = 30,
  DataTypeInt4 = 32,
  DataTypeUInt = 33,
  DataTypeUInt2 = 34,
  DataTypeUInt4 = 36,
  DataTypeShort = 37,
  DataTypeUShort = 41,
  DataTypeChar = 45,
  DataTypeUChar = 49,
  DataTypeBool = 53,
  DataTypeLong = 81,
  DataTypeULong = 85,
  DataTypeBFloat = 121,
};

enum GPUFamily : NS::Integer {
  GPUFamilyApple1 = 1001,
  GPUFamilyApple2 = 1002,
  GPUFamilyApple3 = 1003,
  GPUFamilyApple4 = 1004,
  GPUFamilyApple5 = 1005,
  GPUFamilyApple6 = 1006,
  GPUFamilyApple7 = 1007,
  GPUFamilyApple8 = 1008,
  GPUFamilyApple9 = 1009,
  GPUFamilyApple10 = 1010,
  GPUFamilyMac1 = 2001,
  GPUFamilyMac2 = 2002,
  GPUFamilyCommon1 = 3001,
  GPUFamilyCommon2 = 3002,
  GPUFamilyCommon3 = 3003,
  GPUFamilyMetal3 = 5001,
  GPUFamilyMetal4 = 5002,
};

using PipelineOption = NS::UInteger;
enum : PipelineOption {
  PipelineOptionNone = 0,
  PipelineOptionArgumentInfo = 1,
  PipelineOptionBindingInfo = 1,
  PipelineOptionBufferTypeInfo = 1 << 1,
  PipelineOptionFailOnBinaryArchiveMiss = 1 << 2,
};

enum LanguageVersion : NS::UInteger {
  LanguageVersion2_4 = 131076,
  LanguageVersion3_0 = 196608,
  LanguageVersion3_1 = 196609,
  LanguageVersion3_2 = 196610,
  LanguageVersion4_0 = 262144,
};
enum MathMode : NS::Integer { MathModeSafe = 0, MathModeRelaxed = 1, MathModeFast = 2 };
enum MathFloatingPointFunctions : NS::Integer { MathFloatingPointFunctionsFast = 0, MathFloatingPointFunctionsPrecise = 1 };
enum LibraryOptimizationLevel : NS::Integer { LibraryOptimizationLevelDefault = 0, LibraryOptimizationLevelSize = 1 };
enum LibraryError : NS::UInteger {
  LibraryErrorUnsupported = 1,
  LibraryErrorInternal = 2,
  LibraryErrorCompileFailure = 3,
  LibraryErrorCompileWarning = 4,
  LibraryErrorFunctionNotFound = 5,
  LibraryErrorFileNotFound = 6,
};
enum FunctionType : NS::UInteger { FunctionTypeVertex = 1, FunctionTypeFragment = 2, FunctionTypeKernel = 3 };

enum PurgeableState : NS::UInteger {
  PurgeableStateKeepCurrent = 1,
  PurgeableStateNonVolatile = 2,
  PurgeableStateVolatile = 3,
  PurgeableStateEmpty = 4,
};
enum CPUCacheMode : NS::UInteger { CPUCacheModeDefaultCache = 0, CPUCacheModeWriteCombined = 1 };
enum StorageMode : NS::UInteger { StorageModeShared = 0, StorageModeManaged = 1, StorageModePrivate = 2, StorageModeMemoryless = 3 };
enum HazardTrackingMode : NS::UInteger { HazardTrackingModeDefault = 0, HazardTrackingModeUntracked = 1, HazardTrackingModeTracked = 2 };
using ResourceOptions = NS::UInteger;
enum : ResourceOptions {
  ResourceCPUCacheModeDefaultCache = 0,
  ResourceCPUCacheModeWriteCombined = 1,
  ResourceStorageModeShared = 0,
  ResourceStorageModeManaged = 1 << 4,
  ResourceStorageModePrivate = 1 << 5,
  ResourceHazardTrackingModeDefault = 0,
  ResourceHazardTrackingModeUntracked = 1 << 8,
  ResourceHazardTrackingModeTracked = 1 << 9,
};
using ResourceUsage = NS::UInteger;
enum : ResourceUsage { ResourceUsageRead = 1, ResourceUsageWrite = 1 << 1, ResourceUsageSample = 1 << 2 };
using BarrierScope = NS::UInteger;
enum : BarrierScope { BarrierScopeBuffers = 1, BarrierScopeTextures = 1 << 1, BarrierScopeRenderTargets = 1 << 2 };
enum HeapType : NS::Integer { HeapTypeAutomatic = 0, HeapTypePlacement = 1, HeapTypeSparse = 2 };

enum CommandBufferStatus : NS::UInteger {
  CommandBufferStatusNotEnqueued = 0,
  CommandBufferStatusEnqueued = 1,
  CommandBufferStatusCommitted = 2,
  CommandBufferStatusScheduled = 3,
  CommandBufferStatusCompleted = 4,
  CommandBufferStatusError = 5,
};
enum CommandBufferError : NS::UInteger {
  CommandBufferErrorNone = 0,
  CommandBufferErrorInternal = 1,
  CommandBufferErrorTimeout = 2,
  CommandBufferErrorPageFault = 3,
  CommandBufferErrorAccessRevoked = 4,
  CommandBufferErrorNotPermitted = 7,
  CommandBufferErrorOutOfMemory = 8,
  CommandBufferErrorInvalidResource = 9,
};
enum DispatchType : NS::UInteger { DispatchTypeSerial = 0, DispatchTypeConcurrent = 1 };
using CommandBufferErrorOption = NS::UInteger;
enum : CommandBufferErrorOption { CommandBufferErrorOptionNone = 0, CommandBufferErrorOptionEncoderExecutionStatus = 1 };
enum BinaryArchiveError : NS::UInteger {
  BinaryArchiveErrorNone = 0,
  BinaryArchiveErrorInvalidFile = 1,
  BinaryArchiveErrorUnexpectedElement = 2,
  BinaryArchiveErrorCompilationFailure = 3,
  BinaryArchiveErrorInternalError = 4,
};
enum CaptureError : NS::Integer { CaptureErrorNotSupported = 1, CaptureErrorAlreadyCapturing = 2, CaptureErrorInvalidDescriptor = 3 };
enum CaptureDestination : NS::Integer { CaptureDestinationDeveloperTools = 1, CaptureDestinationGPUTraceDocument = 2 };

// ---- memory

class Allocation : public NS::Referencing<Allocation> {
 public:
  NS::UInteger allocatedSize() const;
};

class Resource : public NS::Referencing<Resource, Allocation> {
 public:
  NS::UInteger allocatedSize() const;
  CPUCacheMode cpuCacheMode() const;
  Device* device() const;
  HazardTrackingMode hazardTrackingMode() const;
  Heap* heap() const;
  NS::UInteger heapOffset() const;
  NS::String* label() const;
  ResourceOptions resourceOptions() const;
  void setLabel(const NS::String* label);
  PurgeableState setPurgeableState(MTL::PurgeableState state);
  StorageMode storageMode() const;
};

class Buffer : public NS::Referencing<Buffer, Resource> {
 public:
  void* contents();
  void didModifyRange(NS::Range range);
  GPUAddress gpuAddress() const;
  NS::UInteger length() const;
};

class HeapDescriptor : public NS::Copying<HeapDescriptor> {
 public:
  static HeapDescriptor* alloc();
  HeapDescriptor* init();
  HazardTrackingMode hazardTrackingMode() const;
  ResourceOptions resourceOptions() const;
  void setHazardTrackingMode(MTL::HazardTrackingMode hazardTrackingMode);
  void setResourceOptions(MTL::ResourceOptions resourceOptions);
  void setSize(NS::UInteger size);
  void setStorageMode(MTL::StorageMode storageMode);
  void setType(MTL::HeapType type);
  NS::UInteger size() const;
  StorageMode storageMode() const;
  HeapType type() const;
};

class Heap : public NS::Referencing<Heap, Allocation> {
 public:
  NS::UInteger currentAllocatedSize() const;
  Device* device() const;
  HazardTrackingMode hazardTrackingMode() const;
  NS::String* label() const;
  NS::UInteger maxAvailableSize(NS::UInteger alignment);
  Buffer* newBuffer(NS::UInteger length, MTL::ResourceOptions options);
  Buffer* newBuffer(NS::UInteger length, MTL::ResourceOptions options, NS::UInteger offset);
  ResourceOptions resourceOptions() const;
  void setLabel(const NS::String* label);
  PurgeableState setPurgeableState(MTL::PurgeableState state);
  NS::UInteger size() const;
  StorageMode storageMode() const;
  HeapType type() const;
  NS::UInteger usedSize() const;
};

class ResidencySetDescriptor : public NS::Copying<ResidencySetDescriptor> {
 public:
  static ResidencySetDescriptor* alloc();
  ResidencySetDescriptor* init();
  NS::UInteger initialCapacity() const;
  NS::String* label() const;
  void setInitialCapacity(NS::UInteger initialCapacity);
  void setLabel(const NS::String* label);
};

class ResidencySet : public NS::Referencing<ResidencySet> {
 public:
  void addAllocation(const MTL::Allocation* allocation);
  void addAllocations(const MTL::Allocation* const allocations[], NS::UInteger count);
  NS::Array* allAllocations() const;
  uint64_t allocatedSize() const;
  NS::UInteger allocationCount() const;
  void commit();
  bool containsAllocation(const MTL::Allocation* anAllocation);
  Device* device() const;
  void endResidency();
  NS::String* label() const;
  void removeAllAllocations();
  void removeAllocation(const MTL::Allocation* allocation);
  void removeAllocations(const MTL::Allocation* const allocations[], NS::UInteger count);
  void requestResidency();
};

// ---- code

class FunctionConstantValues : public NS::Copying<FunctionConstantValues> {
 public:
  static FunctionConstantValues* alloc();
  FunctionConstantValues* init();
  void reset();
  void setConstantValue(const void* value, MTL::DataType type, NS::UInteger index);
  void setConstantValue(const void* value, MTL::DataType type, const NS::String* name);
  void setConstantValues(const void* values, MTL::DataType type, NS::Range range);
};

class FunctionConstant : public NS::Referencing<FunctionConstant> {
 public:
  static FunctionConstant* alloc();
  FunctionConstant* init();
  NS::UInteger index() const;
  NS::String* name() const;
  bool required() const;
  DataType type() const;
};

class Function : public NS::Referencing<Function> {
 public:
  Device* device() const;
  NS::Dictionary* functionConstantsDictionary() const;
  FunctionType functionType() const;
  NS::String* label() const;
  NS::String* name() const;
  void setLabel(const NS::String* label);
};

class CompileOptions : public NS::Copying<CompileOptions> {
 public:
  static CompileOptions* alloc();
  CompileOptions* init();
  bool fastMathEnabled() const;
  LanguageVersion languageVersion() const;
  MathFloatingPointFunctions mathFloatingPointFunctions() const;
  MathMode mathMode() const;
  LibraryOptimizationLevel optimizationLevel() const;
  NS::Dictionary* preprocessorMacros() const;
  void setFastMathEnabled(bool fastMathEnabled);
  void setLanguageVersion(MTL::LanguageVersion languageVersion);
  void setMathFloatingPointFunctions(MTL::MathFloatingPointFunctions mathFloatingPointFunctions);
  void setMathMode(MTL::MathMode mathMode);
  void setOptimizationLevel(MTL::LibraryOptimizationLevel optimizationLevel);
  void setPreprocessorMacros(const NS::Dictionary* preprocessorMacros);
};

class Library : public NS::Referencing<Library> {
 public:
  Device* device() const;
  NS::Array* functionNames() const;
  NS::String* label() const;
  Function* newFunction(const NS::String* functionName);
  Function* newFunction(const NS::String* name, const MTL::FunctionConstantValues* constantValues, NS::Error** error);
  void setLabel(const NS::String* label);
};

class ComputePipelineDescriptor : public NS::Copying<ComputePipelineDescriptor> {
 public:
  static ComputePipelineDescriptor* alloc();
  ComputePipelineDescriptor* init();
  NS::Array* binaryArchives() const;
  Function* computeFunction() const;
  NS::String* label() const;
  NS::UInteger maxTotalThreadsPerThreadgroup() const;
  void reset();
  void setBinaryArchives(const NS::Array* binaryArchives);
  void setComputeFunction(const MTL::Function* computeFunction);
  void setLabel(const NS::String* label);
  void setMaxTotalThreadsPerThreadgroup(NS::UInteger maxTotalThreadsPerThreadgroup);
  void setThreadGroupSizeIsMultipleOfThreadExecutionWidth(bool threadGroupSizeIsMultipleOfThreadExecutionWidth);
  bool threadGroupSizeIsMultipleOfThreadExecutionWidth() const;
};

class ComputePipelineState : public NS::Referencing<ComputePipelineState, Allocation> {
 public:
  Device* device() const;
  NS::String* label() const;
  NS::UInteger maxTotalThreadsPerThreadgroup() const;
  NS::UInteger staticThreadgroupMemoryLength() const;
  NS::UInteger threadExecutionWidth() const;
};

class BinaryArchiveDescriptor : public NS::Copying<BinaryArchiveDescriptor> {
 public:
  static BinaryArchiveDescriptor* alloc();
  BinaryArchiveDescriptor* init();
  void setUrl(const NS::URL* url);
  NS::URL* url() const;
};

class BinaryArchive : public NS::Referencing<BinaryArchive> {
 public:
  bool addComputePipelineFunctions(const MTL::ComputePipelineDescriptor* descriptor, NS::Error** error);
  Device* device() const;
  NS::String* label() const;
  bool serializeToURL(const NS::URL* url, NS::Error** error);
  void setLabel(const NS::String* label);
};

// ---- synchronisation

class Event : public NS::Referencing<Event> {
 public:
  Device* device() const;
  NS::String* label() const;
  void setLabel(const NS::String* label);
};

class SharedEvent : public NS::Referencing<SharedEvent, Event> {
 public:
  void setSignaledValue(uint64_t signaledValue);
  uint64_t signaledValue() const;
  bool waitUntilSignaledValue(uint64_t value, uint64_t milliseconds);
};

class Fence : public NS::Referencing<Fence> {
 public:
  Device* device() const;
  NS::String* label() const;
  void setLabel(const NS::String* label);
};

// ---- commands

class CommandEncoder : public NS::Referencing<CommandEncoder> {
 public:
  Device* device() const;
  void endEncoding();
  void insertDebugSignpost(const NS::String* string);
  NS::String* label() const;
  void popDebugGroup();
  void pushDebugGroup(const NS::String* string);
  void setLabel(const NS::String* label);
};

class ComputeCommandEncoder : public NS::Referencing<ComputeCommandEncoder, CommandEncoder> {
 public:
  void dispatchThreadgroups(MTL::Size threadgroupsPerGrid, MTL::Size threadsPerThreadgroup);
  void dispatchThreads(MTL::Size threadsPerGrid, MTL::Size threadsPerThreadgroup);
  DispatchType dispatchType() const;
  void memoryBarrier(MTL::BarrierScope scope);
  void memoryBarrier(const MTL::Resource* const resources[], NS::UInteger count);
  void setBuffer(const MTL::Buffer* buffer, NS::UInteger offset, NS::UInteger index);
  void setBufferOffset(NS::UInteger offset, NS::UInteger index);
  void setBuffers(const MTL::Buffer* const buffers[], const NS::UInteger offsets[], NS::Range range);
  void setBytes(const void* bytes, NS::UInteger length, NS::UInteger index);
  void setComputePipelineState(const MTL::ComputePipelineState* state);
  void setThreadgroupMemoryLength(NS::UInteger length, NS::UInteger index);
  void updateFence(const MTL::Fence* fence);
  void useHeap(const MTL::Heap* heap);
  void useHeaps(const MTL::Heap* const heaps[], NS::UInteger count);
  void useResource(const MTL::Resource* resource, MTL::ResourceUsage usage);
  void useResources(const MTL::Resource* const resources[], NS::UInteger count, MTL::ResourceUsage usage);
  void waitForFence(const MTL::Fence* fence);
};

class ComputePassDescriptor : public NS::Copying<ComputePassDescriptor> {
 public:
  static ComputePassDescriptor* alloc();
  static ComputePassDescriptor* computePassDescriptor();
  DispatchType dispatchType() const;
  ComputePassDescriptor* init();
  void setDispatchType(MTL::DispatchType dispatchType);
};

class CommandBufferDescriptor : public NS::Copying<CommandBufferDescriptor> {
 public:
  static CommandBufferDescriptor* alloc();
  CommandBufferErrorOption errorOptions() const;
  CommandBufferDescriptor* init();
  bool retainedReferences() const;
  void setErrorOptions(MTL::CommandBufferErrorOption errorOptions);
  void setRetainedReferences(bool retainedReferences);
};

class CommandBuffer : public NS::Referencing<CommandBuffer> {
 public:
  CFTimeInterval GPUEndTime() const;
  CFTimeInterval GPUStartTime() const;
  void addCompletedHandler(const MTL::HandlerFunction& function);
  void addScheduledHandler(const MTL::HandlerFunction& function);
  CommandQueue* commandQueue() const;
  void commit();
  ComputeCommandEncoder* computeCommandEncoder(const MTL::ComputePassDescriptor* computePassDescriptor);
  ComputeCommandEncoder* computeCommandEncoder();
  ComputeCommandEncoder* computeCommandEncoder(MTL::DispatchType dispatchType);
  Device* device() const;
  void encodeSignalEvent(const MTL::Event* event, uint64_t value);
  void encodeWait(const MTL::Event* event, uint64_t value);
  void enqueue();
  NS::Error* error() const;
  CommandBufferErrorOption errorOptions() const;
  CFTimeInterval kernelEndTime() const;
  CFTimeInterval kernelStartTime() const;
  NS::String* label() const;
  void popDebugGroup();
  void pushDebugGroup(const NS::String* string);
  bool retainedReferences() const;
  void setLabel(const NS::String* label);
  CommandBufferStatus status() const;
  void useResidencySet(const MTL::ResidencySet* residencySet);
  void useResidencySets(const MTL::ResidencySet* const residencySets[], NS::UInteger count);
  void waitUntilCompleted();
  void waitUntilScheduled();
};

class CommandQueue : public NS::Referencing<CommandQueue> {
 public:
  void addResidencySet(const MTL::ResidencySet* residencySet);
  void addResidencySets(const MTL::ResidencySet* const residencySets[], NS::UInteger count);
  CommandBuffer* commandBuffer();
  CommandBuffer* commandBuffer(const MTL::CommandBufferDescriptor* descriptor);
  CommandBuffer* commandBufferWithUnretainedReferences();
  Device* device() const;
  NS::String* label() const;
  void removeResidencySet(const MTL::ResidencySet* residencySet);
  void removeResidencySets(const MTL::ResidencySet* const residencySets[], NS::UInteger count);
  void setLabel(const NS::String* label);
};

// ---- the device

class Architecture : public NS::Copying<Architecture> {
 public:
  static Architecture* alloc();
  Architecture* init();
  NS::String* name() const;
};

class Device : public NS::Referencing<Device> {
 public:
  Architecture* architecture() const;
  NS::UInteger currentAllocatedSize() const;
  bool hasUnifiedMemory() const;
  SizeAndAlign heapBufferSizeAndAlign(NS::UInteger length, MTL::ResourceOptions options);
  bool isHeadless() const;
  bool isLowPower() const;
  bool isRemovable() const;
  NS::UInteger maxBufferLength() const;
  NS::UInteger maxThreadgroupMemoryLength() const;
  Size maxThreadsPerThreadgroup() const;
  NS::String* name() const;
  BinaryArchive* newBinaryArchive(const MTL::BinaryArchiveDescriptor* descriptor, NS::Error** error);
  Buffer* newBuffer(NS::UInteger length, MTL::ResourceOptions options);
  Buffer* newBuffer(const void* pointer, NS::UInteger length, MTL::ResourceOptions options);
  /// Apple's last parameter is a block; without blocks in the language only nullptr can be passed: the memory stays the caller's.
  Buffer* newBuffer(const void* pointer, NS::UInteger length, MTL::ResourceOptions options, std::nullptr_t deallocator);
  CommandQueue* newCommandQueue();
  CommandQueue* newCommandQueue(NS::UInteger maxCommandBufferCount);
  ComputePipelineState* newComputePipelineState(const MTL::Function* computeFunction, NS::Error** error);
  ComputePipelineState* newComputePipelineState(const MTL::Function* computeFunction, MTL::PipelineOption options,
                                                const MTL::AutoreleasedComputePipelineReflection* reflection, NS::Error** error);
  ComputePipelineState* newComputePipelineState(const MTL::ComputePipelineDescriptor* descriptor, MTL::PipelineOption options,
                                                const MTL::AutoreleasedComputePipelineReflection* reflection, NS::Error** error);
  Event* newEvent();
  Fence* newFence();
  Heap* newHeap(const MTL::HeapDescriptor* descriptor);
  Library* newLibrary(const NS::String* filepath, NS::Error** error);
  Library* newLibrary(const NS::URL* url, NS::Error** error);
  Library* newLibrary(const NS::String* source, const MTL::CompileOptions* options, NS::Error** error);
  ResidencySet* newResidencySet(const MTL::ResidencySetDescriptor* desc, NS::Error** error);
  SharedEvent* newSharedEvent();
  uint64_t recommendedMaxWorkingSetSize() const;
  uint64_t registryID() const;
  bool supportsFamily(MTL::GPUFamily gpuFamily);
};

Device* CreateSystemDefaultDevice();
NS::Array* CopyAllDevices();

// ---- captures

class CaptureDescriptor : public NS::Copying<CaptureDescriptor> {
 public:
  static CaptureDescriptor* alloc();
  NS::Object* captureObject() const;
  CaptureDestination destination() const;
  CaptureDescriptor* init();
  NS::URL* outputURL() const;
  void setCaptureObject(NS::Object* captureObject);
  void setDestination(MTL::CaptureDestination destination);
  void setOutputURL(const NS::URL* outputURL);
};

class CaptureManager : public NS::Referencing<CaptureManager> {
 public:
  static CaptureManager* alloc();
  CaptureManager* init();
  bool isCapturing() const;
  static CaptureManager* sharedCaptureManager();
  bool startCapture(const MTL::CaptureDescriptor* descriptor, NS::Error** error);
  void stopCapture();
  bool supportsDestination(MTL::CaptureDestination destination);
};

}  // namespace MTL
