#include "common/rule/engine.h"

#include <dlfcn.h>

#include "common/rule/error.h"
#include "common/rule/fused/engine.h"

namespace outerloop::rule {
namespace {

constexpr const char* kReferenceLibrary = "libouterloop_reference.so";
using MakeReferenceEngine = decltype(&outerloop_make_reference_engine);

std::string loader_error() {
  const char* text = dlerror();
  return text ? text : "no reason given";
}

/// The library stays loaded for the rest of the process: LibTorch does not survive being unloaded.
MakeReferenceEngine load_reference() {
  // Found through the executable's RUNPATH (beside it, or in its lib folder), LD_LIBRARY_PATH and the
  // system's paths.
  void* library = dlopen(kReferenceLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw InputError(
        "engine.kind: reference cannot be loaded (" + loader_error() +
        "); install libtorch-dev and build with -DOUTERLOOP_REFERENCE=ON, or let LD_LIBRARY_PATH name "
        "the folder of " +
        kReferenceLibrary);
  void* symbol = dlsym(library, "outerloop_make_reference_engine");
  if (!symbol)
    throw InputError("engine.kind: reference: " + loader_error() + "; " + kReferenceLibrary +
                     " is of another version, build it again");
  return reinterpret_cast<MakeReferenceEngine>(symbol);
}

}  // namespace

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::finished:
      return "finished";
    case Outcome::dead_features:
      return "dead_features";
    case Outcome::not_finite:
      return "not_finite";
  }
  return "unknown";
}

std::unique_ptr<Engine> make_engine(const RuleOptions& rule, const EngineOptions& options) {
  if (options.kind == EngineKind::fused) return fused::make_fused_engine(rule, options);
  static const MakeReferenceEngine make = load_reference();
  return std::unique_ptr<Engine>(make(&rule, &options));
}

}  // namespace outerloop::rule
