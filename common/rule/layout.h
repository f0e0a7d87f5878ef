#pragma once
// Layout of a flat vector (θ, φ, a gradient, Adam's moments): names, shapes and positions of its tensors.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::rule {

/// The distribution of a tensor's initial values.
struct Initializer {
  enum class Kind { constant, truncated_normal };
  Kind kind = Kind::constant;
  double value = 0.0;  ///< the constant, or sigma of the normal that is redrawn beyond 2 sigma

  static Initializer constant(double value) { return {Kind::constant, value}; }
  static Initializer truncated_normal(double sigma) { return {Kind::truncated_normal, sigma}; }
  /// e.g. "constant(0.1)", "truncated_normal(sigma=0.125, cut=2 sigma)"
  std::string description() const;
};

/// One named tensor, row-major.
struct TensorSpec {
  std::string name;                 ///< e.g. "hidden.in.w", or "2/W" in φ
  std::vector<std::int64_t> shape;  ///< every extent >= 1
  std::string axes;                 ///< names of the axes, e.g. "kernel,channel_in,channel_out"
  Initializer initializer;
  /// True where the gradient is zero in exact arithmetic for any data (a bias in front of a batch norm).
  /// Engines return exactly 0 there, since Adam would turn rounding noise into steps.
  bool zero_gradient = false;
  std::int64_t offset = 0;  ///< first element in the flat vector; set by Layout

  std::int64_t size() const;
};

/// An ordered list of tensors and their places in a flat vector.
class Layout {
 public:
  Layout() = default;
  explicit Layout(std::vector<TensorSpec> tensors);

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  std::int64_t size() const { return size_; }  ///< total number of elements

  /// The tensor with that name. Throws Error if there is none.
  const TensorSpec& at(const std::string& name) const;
  bool contains(const std::string& name) const;

  /// One line per tensor, "name [shape]": equal if and only if two layouts are the same.
  std::string signature() const;

 private:
  std::vector<TensorSpec> tensors_;
  std::int64_t size_ = 0;
};

class Random;

/// A flat vector drawn by the initialisers; element i of the vector is element i of `random`. Values are
/// rounded to float32, the precision that files keep.
std::vector<double> draw_initial(const Layout& layout, const Random& random);

}  // namespace outerloop::rule
