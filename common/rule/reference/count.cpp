// Counts the operations of a truncation, on the CPU or on LibTorch's meta device. Meta tensors have shapes
// but no numbers, so any size can be counted.
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/rule/operation_count.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/lane_truncation.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

/// Not counted: views, allocations, and calls that only forward to others.
constexpr std::array<std::string_view, 47> kNotCounted = {"alias",
                                                          "as_strided",
                                                          "broadcast_tensors",
                                                          "chunk",
                                                          "contiguous",
                                                          "detach",
                                                          "detach_",
                                                          "diagonal",
                                                          "dim",
                                                          "empty",
                                                          "empty_like",
                                                          "empty_strided",
                                                          "expand",
                                                          "expand_as",
                                                          "flatten",
                                                          "is_complex",
                                                          "is_floating_point",
                                                          "is_meta",
                                                          "is_same_size",
                                                          "lift_fresh",
                                                          "movedim",
                                                          "narrow",
                                                          "new_empty",
                                                          "new_empty_strided",
                                                          "numel",
                                                          "output_nr",
                                                          "permute",
                                                          "requires_grad_",
                                                          "reshape",
                                                          "_reshape_alias",
                                                          "resize_",
                                                          "resize_as_",
                                                          "resolve_conj",
                                                          "resolve_neg",
                                                          "result_type",
                                                          "select",
                                                          "set_",
                                                          "size",
                                                          "slice",
                                                          "split",
                                                          "split_with_sizes",
                                                          "squeeze",
                                                          "t",
                                                          "to",
                                                          "transpose",
                                                          "unsqueeze",
                                                          "unbind"};
constexpr std::array<std::string_view, 4> kViews = {"view", "_unsafe_view", "view_as", "unflatten"};
/// Counted as one operation each, whatever calls a device's kernel makes: CPU kernels split batches of
/// products and wrap numbers as tensors.
constexpr std::array<std::string_view, 22> kWhole = {"linalg_cholesky_ex",
                                                     "linalg_solve_triangular",
                                                     "mm",
                                                     "addmm",
                                                     "addmm_",
                                                     "bmm",
                                                     "baddbmm",
                                                     "baddbmm_",
                                                     "native_group_norm",
                                                     "native_group_norm_backward",
                                                     "add",
                                                     "add_",
                                                     "sub",
                                                     "sub_",
                                                     "mul",
                                                     "mul_",
                                                     "div",
                                                     "div_",
                                                     "sum",
                                                     "cat",
                                                     "zero_",
                                                     "copy_"};
constexpr std::array<std::string_view, 4> kHostReads = {"_local_scalar_dense", "nonzero", "equal",
                                                        "is_nonzero"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A call in progress.
struct Call {
  std::string name;
  std::size_t devices = 1;
  bool operation = false;  ///< otherwise a node of the graph
  bool counted_inside = false;
};

/// Counters of this thread's calls; global because LibTorch's callbacks are plain functions.
thread_local std::vector<Call>* open_calls = nullptr;
thread_local OperationCount* counts = nullptr;
thread_local std::size_t within_whole = 0;

/// The number of devices of a call's tensors. Numbers that LibTorch wraps as tensors do not count.
std::size_t devices_of(const at::RecordFunction& function) {
  std::vector<c10::Device> devices;
  const auto add = [&](const at::Tensor& tensor) {
    if (!tensor.defined() || (tensor.dim() == 0 && tensor.is_cpu())) return;
    if (std::find(devices.begin(), devices.end(), tensor.device()) == devices.end())
      devices.push_back(tensor.device());
  };
  for (const auto& input : function.inputs()) {
    if (input.isTensor()) add(input.toTensor());
    if (input.isTensorList())
      for (const at::Tensor& tensor : input.toTensorVector()) add(tensor);
  }
  return devices.size();
}

std::unique_ptr<at::ObserverContext> begin_call(const at::RecordFunction& function) {
  if (!open_calls) return nullptr;
  std::string name = function.name();
  const bool operation = name.rfind("aten::", 0) == 0 || name == kFetchName;
  const auto colons = name.rfind("::");
  if (colons != std::string::npos) name = name.substr(colons + 2);
  if (among(kWhole, name)) ++within_whole;
  open_calls->push_back({name, devices_of(function), operation, false});
  return nullptr;
}

void count(const Call& call) {
  if (among(kHostReads, call.name)) ++counts->host_reads;
  if (call.name == kFetchName || (call.name == "copy_" && call.devices > 1)) {
    ++counts->transfers;
    return;
  }
  if (call.devices > 1) ++counts->strangers;
  ++counts->operations;
  if (call.name == "copy_") ++counts->copies;
  ++counts->by_name[call.name];
}

void end_call(const at::RecordFunction&, at::ObserverContext*) {
  if (!open_calls || open_calls->empty()) return;
  const Call call = std::move(open_calls->back());
  open_calls->pop_back();
  if (among(kWhole, call.name)) --within_whole;
  bool counted = call.counted_inside;
  if (!counted && call.operation && within_whole == 0 && !among(kNotCounted, call.name) &&
      !among(kViews, call.name)) {
    count(call);
    counted = true;
  }
  if (counted && !open_calls->empty()) open_calls->back().counted_inside = true;
}

/// Counts this thread's calls during its lifetime.
class Counting {
 public:
  explicit Counting(OperationCount& into) {
    open_calls = &calls_;
    counts = &into;
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&begin_call, &end_call)
                                        .needsInputs(true)
                                        .scopes({at::RecordScope::FUNCTION}));
  }
  ~Counting() {
    at::removeCallback(handle_);
    open_calls = nullptr;
    counts = nullptr;
  }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

 private:
  std::vector<Call> calls_;
  at::CallbackHandle handle_{};
};

OperationCount count_truncation(const RuleOptions& rule, const Architecture& architecture,
                                const std::vector<double>& theta, const std::vector<TruncationLane>& lanes,
                                bool on_meta) {
  const Layout layout = theta_layout(rule), phi = phi_layout(rule, architecture);
  const PackedTheta packed(rule.neuron_local, layout);
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(on_meta ? at::kMeta : at::kCPU);
  const LaneSetup setup{rule.neuron_local, packed, architecture, phi, options, [] {}};
  OperationCount result;
  const Counting counting(result);
  run_truncation(setup, packed.pack(theta), lanes, static_cast<std::int64_t>(lanes.front().steps.size()));
  return result;
}

}  // namespace
}  // namespace outerloop::rule::reference

extern "C" OUTERLOOP_REFERENCE_API void outerloop_count_truncation(
    const outerloop::rule::RuleOptions* rule, const outerloop::rule::Architecture* architecture,
    const std::vector<double>* theta, const std::vector<outerloop::rule::TruncationLane>* lanes, bool on_meta,
    outerloop::rule::OperationCount* result) {
  using namespace outerloop::rule::reference;
  *result = translated([&] { return count_truncation(*rule, *architecture, *theta, *lanes, on_meta); });
}
