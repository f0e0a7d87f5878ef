#pragma once
// Which classes are for training and which are held out.
#include <string>

namespace outerloop::data {

/// True for about one class in five, by a hash of the canonical name of the class alone: a glyph's canonical
/// character, a picture's name, a digit, a garment. The same on every machine, whatever else is installed.
bool is_held_out(const std::string& class_name);

}  // namespace outerloop::data
