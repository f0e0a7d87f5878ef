#pragma once
// The functions that libouterloop_reference exports. They are looked up by name (common/rule/engines), so
// this header does not need LibTorch's. All other symbols are hidden, except those that tests use.
#include <string>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/kept_model.h"
#include "common/rule/operation_count.h"
#include "common/rule/scripted_rule.h"

#define OUTERLOOP_REFERENCE_API __attribute__((visibility("default")))

/// The caller owns the engine. Throws InputError, as make_engine does.
extern "C" outerloop::rule::Engine* outerloop_make_reference_engine(
    const outerloop::rule::RuleOptions* rule, const outerloop::rule::EngineOptions* options);

/// Stores the module's file in `bytes`, see torchscript_of.
extern "C" void outerloop_make_torchscript(const outerloop::rule::RuleOptions* rule,
                                           const std::vector<double>* theta, const std::string* metadata,
                                           std::string* bytes);

/// Stores the module's file in `bytes`, see model_torchscript_of.
extern "C" void outerloop_make_model_torchscript(const outerloop::rule::KeptModel* model,
                                                 const std::string* metadata, std::string* bytes);

/// Reads and checks a module: see read_scripted_rule.
extern "C" void outerloop_read_module(const std::string* bytes, const std::string* name,
                                      outerloop::rule::ScriptedRule* result);

/// Leaves the module's file with another θ in `bytes`: see scripted_module_of.
extern "C" void outerloop_write_module(const outerloop::rule::ScriptedRule* rule,
                                       const std::vector<double>* theta, const std::string* metadata,
                                       std::string* bytes);

/// Stores the device_description of a CUDA device in `text`.
extern "C" void outerloop_describe_device(const outerloop::rule::EngineOptions* options, std::string* text);

/// Counts the operations of one truncation of `lanes` by the rule neuron_local in float32: see
/// count_operations.
extern "C" void outerloop_count_truncation(const outerloop::rule::RuleOptions* rule,
                                           const outerloop::rule::Architecture* architecture,
                                           const std::vector<double>* theta,
                                           const std::vector<outerloop::rule::TruncationLane>* lanes,
                                           bool on_meta, outerloop::rule::OperationCount* result);
