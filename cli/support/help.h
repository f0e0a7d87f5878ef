#pragma once
// The form of every --help: what a flag takes, its default, and how often it may be given.

namespace CLI {
class App;
}

namespace outerloop::cli {

/// Call it before commands are added to `app`: they inherit the form, and flags show the default that their
/// variable holds.
void describe_defaults(CLI::App& app);

}  // namespace outerloop::cli
