#include "common/rule/layout.h"

#include <algorithm>
#include <cstdio>

#include "common/base/error.h"
#include "common/rule/random.h"

namespace outerloop::rule {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

std::string Initializer::description() const {
  return kind == Kind::constant ? "constant(" + number(value) + ")"
                                : "truncated_normal(sigma=" + number(value) + ", cut=2 sigma)";
}

std::int64_t TensorSpec::size() const {
  std::int64_t n = 1;
  for (const auto extent : shape) n *= extent;
  return n;
}

Layout::Layout(std::vector<TensorSpec> tensors) : tensors_(std::move(tensors)) {
  for (auto& tensor : tensors_) {
    tensor.offset = size_;
    size_ += tensor.size();
  }
}

bool Layout::contains(const std::string& name) const {
  return std::any_of(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.name == name; });
}

const TensorSpec& Layout::at(const std::string& name) const {
  for (const auto& tensor : tensors_)
    if (tensor.name == name) return tensor;
  throw Error("no tensor named '" + name + "' in this layout of " + std::to_string(tensors_.size()) +
              " tensors");
}

std::string Layout::signature() const {
  std::string text;
  for (const auto& tensor : tensors_) {
    text += tensor.name + " [";
    for (std::size_t i = 0; i < tensor.shape.size(); ++i)
      text += (i ? ", " : "") + std::to_string(tensor.shape[i]);
    text += "]\n";
  }
  return text;
}

std::vector<double> draw_initial(const Layout& layout, const Random& random) {
  std::vector<double> values(static_cast<std::size_t>(layout.size()));
  for (const auto& tensor : layout.tensors()) {
    const auto& initializer = tensor.initializer;
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i) {
      double value = initializer.value;
      if (initializer.kind == Initializer::Kind::truncated_normal)
        value *= random.truncated_normal(static_cast<std::uint32_t>(i));
      values[static_cast<std::size_t>(i)] = static_cast<float>(value);
    }
  }
  return values;
}

}  // namespace outerloop::rule
