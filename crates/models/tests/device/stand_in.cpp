// A stand-in for a GPU: loaded before a program that links libtorch, it makes a device cuda:0 whose memory is the
// host's and whose kernels are the CPU's, with the manners of the real one. What a tensor's device decides (which
// tensors may meet in an operation, which thread walks a graph backwards, where a new tensor is made) happens as on a
// GPU; what a GPU computes in another order, or how fast, does not show.
//
// Built against the headers of libtorch 2.11; the places to look are its own out-of-tree backends
// (test/cpp_extensions/open_registration_extension) and ATen/native/CPUFallback.h.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::Stream;

const Device DEVICE(c10::kCUDA, 0);
const c10::DispatchKeySet KEYS(c10::DispatchKey::CUDA);

// One device with one stream, on which everything is done as soon as it is asked for.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  Device exchangeDevice(Device) const override { return DEVICE; }
  Device getDevice() const override { return DEVICE; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream getDefaultStream(Device) const override { return Stream(Stream::DEFAULT, DEVICE); }
  Stream exchangeStream(Stream) const override { return Stream(Stream::DEFAULT, DEVICE); }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const Stream&, const DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const DeviceIndex) const override {}
};

struct Hooks final : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  void deviceSynchronize(DeviceIndex) const override {}
};

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    TORCH_CHECK(bytes == 0 || data != nullptr, "out of memory");
    return {data, data, &std::free, DEVICE};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

Memory memory;

// The same numbers as a tensor of the CPU.
Tensor host(const Tensor& tensor) {
  if (tensor.device() != DEVICE) return tensor;
  void* data = tensor.numel() == 0 ? nullptr : const_cast<void*>(tensor.const_data_ptr());
  return at::from_blob(data, tensor.sizes(), tensor.strides(), at::TensorOptions(tensor.scalar_type()));
}

at::ScalarType kind_of(std::optional<at::ScalarType> kind) {
  return kind.value_or(c10::typeMetaToScalarType(at::get_default_dtype()));
}

Tensor empty(IntArrayRef sizes, std::optional<at::ScalarType> kind, std::optional<at::Layout>,
             std::optional<Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(sizes, &memory, KEYS, kind_of(kind), format);
}

Tensor empty_strided(IntArrayRef sizes, IntArrayRef strides, std::optional<at::ScalarType> kind,
                     std::optional<at::Layout>, std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(sizes, strides, &memory, KEYS, kind_of(kind));
}

const Tensor& resize_(const Tensor& self, IntArrayRef sizes, std::optional<at::MemoryFormat>) {
  auto* storage = self.storage().unsafeGetStorageImpl();
  const size_t bytes = (self.storage_offset() + c10::multiply_integers(sizes)) * self.itemsize();
  if (storage->nbytes() < bytes) {
    auto data = memory.allocate(bytes);
    if (storage->nbytes() > 0) std::memcpy(data.get(), storage->data(), storage->nbytes());
    storage->set_data_ptr_noswap(std::move(data));
    storage->set_nbytes(bytes);
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return self;
}

// Copies are what may go from one device to the other.
Tensor& copy_(Tensor& self, const Tensor& from, bool) {
  host(self).copy_(host(from));
  return self;
}

Tensor copy_from(const Tensor& self, const Tensor& to, bool) {
  host(to).copy_(host(self));
  return to;
}

Tensor copy_from_and_resize(const Tensor& self, const Tensor& to) {
  if (to.sizes() != self.sizes()) to.resize_(self.sizes());
  return copy_from(self, to, false);
}

at::Scalar number(const Tensor& self) { return host(self).item(); }

// Another look at the same memory.
Tensor look(const Tensor& self, IntArrayRef sizes, IntArrayRef strides, int64_t offset) {
  c10::Storage storage = self.storage();
  auto view =
      at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, std::move(storage), self.key_set(), self.dtype());
  view.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return view;
}

Tensor as_strided(const Tensor& self, IntArrayRef sizes, IntArrayRef strides, std::optional<int64_t> offset) {
  return look(self, sizes, strides, offset.value_or(self.storage_offset()));
}

Tensor reshape_alias(const Tensor& self, IntArrayRef sizes, IntArrayRef strides) {
  return look(self, sizes, strides, self.storage_offset());
}

Tensor view(const Tensor& self, IntArrayRef sizes) {
  const Tensor like = host(self).view(sizes);
  return look(self, like.sizes(), like.strides(), self.storage_offset());
}

// Every other operation: the kernel of the CPU, once it is clear that a GPU would take these tensors. Numbers of the
// CPU may stand in pointwise operations, and indices of the CPU in brackets.
void operation(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& arguments = op.schema().arguments();
  const std::string& name = op.schema().name();
  const bool brackets = name == "aten::index" || name == "aten::index_put_" || name == "aten::_index_put_impl_";
  const bool pointwise = op.hasTag(at::Tag::pointwise);
  const size_t first = stack->size() - arguments.size();
  for (size_t i = 0; i < arguments.size(); i++) {
    const auto& value = (*stack)[first + i];
    const auto check = [&](const Tensor& tensor) {
      if (!tensor.defined() || tensor.device() == DEVICE) return;
      if (pointwise && tensor.dim() == 0 && !arguments[i].is_out()) return;
      if (brackets && i == 1) return;
      TORCH_CHECK(false, "Expected all tensors to be on the same device, but `", arguments[i].name(), "` of ", name,
                  " is on ", tensor.device());
    };
    if (value.isTensor()) {
      check(value.toTensor());
    } else if (value.isTensorList()) {
      for (const Tensor& tensor : value.toTensorVector()) check(tensor);
    } else if (value.isOptionalTensorList()) {
      for (const auto& tensor : value.toOptionalTensorVector()) {
        if (tensor) check(*tensor);
      }
    }
  }
  at::native::cpu_fallback(op, stack);
}

const c10::impl::DeviceGuardImplRegistrar guard(c10::kCUDA, new Guard());
const bool remembered = (c10::SetAllocator(c10::kCUDA, &memory), true);

}  // namespace

namespace at {
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, ::Hooks)
}

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&operation>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &::empty);
  library.impl("empty_strided", &::empty_strided);
  library.impl("resize_", &::resize_);
  library.impl("copy_", &::copy_);
  library.impl("_copy_from", &::copy_from);
  library.impl("_copy_from_and_resize", &::copy_from_and_resize);
  library.impl("_local_scalar_dense", &::number);
  library.impl("as_strided", &::as_strided);
  library.impl("view", &::view);
  library.impl("_reshape_alias", &::reshape_alias);
}
