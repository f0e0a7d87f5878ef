#pragma once
// The class split: which classes are held out, by a hash of the class's name.
#include <cstddef>
#include <string>

namespace outerloop::data {

/// True for about one class in five, by a hash of the class's canonical name: a glyph's canonical character,
/// a picture's name, a digit, a garment. The result is the same on every machine, whatever else is installed.
bool is_held_out(const std::string& class_name);

/// The name to pass to is_held_out() for class `label` of a WorkingSet or a Dataset. If there are groups, it
/// is the group's name, so that a whole group is on one side of the split.
template <class Set>
const std::string& split_name(const Set& set, std::size_t label) {
  return set.groups.empty() ? set.class_names[label]
                            : set.groups[static_cast<std::size_t>(set.group_of_class[label])].name;
}

}  // namespace outerloop::data
