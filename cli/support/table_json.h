#pragma once
// Conversion between a table's columns and the JSON text stored in a kept model.
#include <string>

#include "common/data/table_columns.h"

namespace outerloop::cli {

std::string table_json(const data::TableColumns& columns);

/// Throws InputError, beginning with `name`, for a text that does not describe columns.
data::TableColumns table_of_json(const std::string& text, const std::string& name);

/// e.g. "3 columns of texts as 0/1 inputs (sex: 2, region: 5, ...)"; empty if there are none.
std::string texts_in_words(const data::TableColumns& columns);

}  // namespace outerloop::cli
