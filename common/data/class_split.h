#pragma once
// The class split: which classes are held out, by a hash of the class's name.
#include <string>

namespace outerloop::data {

/// True for about one class in five, by a hash of the canonical name of the class alone: a glyph's canonical
/// character, a picture's name, a digit, a garment. The same on every machine, whatever else is installed.
bool is_held_out(const std::string& class_name);

}  // namespace outerloop::data
