#include "common/store/hdf5_handle.h"

#include "common/base/error.h"

namespace outerloop::store {
namespace {

std::string library_text() {
  std::string text;
  const auto remember = [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
    auto& found = *static_cast<std::string*>(out);
    if (entry->desc != nullptr && found.empty()) found = entry->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, remember, &text);
  return text.empty() ? "no reason given" : text;
}

}  // namespace

void fail_hdf5(const std::string& what) { throw Error("HDF5: " + what + ": " + library_text()); }

void silence_hdf5() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

}  // namespace outerloop::store
