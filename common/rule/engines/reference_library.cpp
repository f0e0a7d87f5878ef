#include "common/rule/engines/reference_library.h"

#include <dlfcn.h>

#include <string>

#include "common/base/error.h"

namespace outerloop::rule {
namespace {

constexpr const char* kReferenceLibrary = "libouterloop_reference.so";

std::string loader_error() {
  const char* text = dlerror();
  return text ? text : "no reason given";
}

}  // namespace

void* reference_symbol(const char* symbol, const char* what) {
  // Searched in the executable's RUNPATH (its own folder or its lib folder), LD_LIBRARY_PATH and the system's
  // paths. Never unloaded: LibTorch does not survive unloading.
  void* library = dlopen(kReferenceLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw InputError(
        std::string(what) + " cannot be loaded (" + loader_error() +
        "); install libtorch-dev and build with -DOUTERLOOP_REFERENCE=ON, or let LD_LIBRARY_PATH name "
        "the folder of " +
        kReferenceLibrary);
  void* address = dlsym(library, symbol);
  if (!address)
    throw InputError(std::string(what) + ": " + loader_error() + "; " + kReferenceLibrary +
                     " is of another version, build it again");
  return address;
}

}  // namespace outerloop::rule
