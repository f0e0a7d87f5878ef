#pragma once
// RAII wrapper of the HDF5 library's C API: identifiers close themselves, failures throw Error with the
// library's own text. Only hdf5.cpp and hdf5_rows.cpp include this.
#include <hdf5.h>

#include <string>
#include <utility>

namespace outerloop::store {

/// Throws Error: "HDF5: `what`: " and the innermost entry of the library's error stack.
[[noreturn]] void fail_hdf5(const std::string& what);

inline void check_hdf5(herr_t status, const std::string& what) {
  if (status < 0) fail_hdf5(what);
}

/// One identifier of the library, closed by the function for its kind. Throws Error where the library
/// returned none.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
    if (id_ < 0) fail_hdf5(what);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// The library prints its error stack by default; we include it in our one-line message.
void silence_hdf5();

}  // namespace outerloop::store
