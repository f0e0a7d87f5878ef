#include "common/rule/grow.h"

#include <string>

#include "common/base/error.h"
#include "common/base/text.h"

namespace outerloop::rule {
namespace {

enum class Axis { fixed, unit, channel_in, channel_out };

/// How a tensor's axes may grow. T is fixed, because top.mix is normalised over all top channels. So are the
/// outputs of layers without batch norm (D, G), because others sum over them.
std::vector<Axis> axes_of(const TensorSpec& tensor, const Layout& layout) {
  const bool top = tensor.name.compare(0, 4, "top.") == 0;
  const bool batch_norm_follows = layout.contains(tensor.name.substr(0, tensor.name.rfind('.')) + ".beta");
  std::vector<Axis> axes;
  for (const auto& name : base::split_at_commas(tensor.axes)) {
    if (name == "unit_in" || name == "unit_out")
      axes.push_back(Axis::unit);
    else if (name == "channel_in" && !top)
      axes.push_back(Axis::channel_in);
    else if (name == "channel_out" && !top && batch_norm_follows)
      axes.push_back(Axis::channel_out);
    else
      axes.push_back(Axis::fixed);
  }
  axes.resize(tensor.shape.size(), Axis::fixed);  // a module's tensors may name none
  return axes;
}

bool can_grow(const TensorSpec& from, const TensorSpec& to, const std::vector<Axis>& axes) {
  if (from.axes != to.axes || from.shape.size() != to.shape.size()) return false;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    const auto before = from.shape[a], after = to.shape[a];
    const bool fits = axes[a] == Axis::fixed ? after == before : before >= 1 && after >= before;
    if (!fits || (axes[a] == Axis::unit && after % before != 0)) return false;
  }
  return true;
}

/// The grown tensor's element at `index`; `drawn` is its initial value.
double grown_element(const TensorSpec& from, const std::vector<double>& theta, const std::vector<Axis>& axes,
                     const std::vector<std::int64_t>& index, double drawn) {
  std::int64_t source = from.offset, stride = 1, block = -1;
  bool of_new_channel = false, on_new_channel = false, between_blocks = false;
  for (std::size_t a = axes.size(); a-- > 0; stride *= from.shape[a]) {
    const auto extent = from.shape[a];
    source += index[a] % extent * stride;
    if (axes[a] == Axis::unit) {
      between_blocks = between_blocks || (block >= 0 && block != index[a] / extent);
      block = index[a] / extent;
    } else if (index[a] >= extent) {
      (axes[a] == Axis::channel_out ? of_new_channel : on_new_channel) = true;
    }
  }
  if (of_new_channel) return drawn;
  return on_new_channel || between_blocks ? 0.0 : theta[static_cast<std::size_t>(source)];
}

}  // namespace

std::optional<std::vector<double>> grow_theta(const Layout& from, const std::vector<double>& theta,
                                              const Layout& to, std::vector<double> drawn) {
  OUTERLOOP_CHECK(static_cast<std::int64_t>(theta.size()) == from.size() &&
                      static_cast<std::int64_t>(drawn.size()) == to.size(),
                  "θ and its layout differ in size");
  if (from.tensors().size() != to.tensors().size()) return std::nullopt;
  for (std::size_t t = 0; t < to.tensors().size(); ++t) {
    const auto &small = from.tensors()[t], &tensor = to.tensors()[t];
    const auto axes = axes_of(tensor, to);
    if (small.name != tensor.name || !can_grow(small, tensor, axes)) return std::nullopt;
    std::vector<std::int64_t> index(axes.size());
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      std::int64_t rest = i;
      for (std::size_t a = axes.size(); a-- > 0; rest /= tensor.shape[a]) index[a] = rest % tensor.shape[a];
      auto& value = drawn[static_cast<std::size_t>(tensor.offset + i)];
      value = grown_element(small, theta, axes, index, value);
    }
  }
  return drawn;
}

}  // namespace outerloop::rule
