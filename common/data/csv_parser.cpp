#include "common/data/csv_parser.h"

#include <utility>

#include "common/base/error.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kMostField = std::size_t{1} << 20;    // bytes
constexpr std::size_t kMostColumns = std::size_t{1} << 20;  // more than are read, for those left out

// States of libcsv's parser.
constexpr int kNoRow = 0, kInField = 2;

int is_blank(unsigned char c) { return c == ' ' ? 1 : 0; }
int is_space(unsigned char c) { return c == ' ' || c == '\t' ? 1 : 0; }

}  // namespace

CsvParser::CsvParser(char separator) {
  OUTERLOOP_CHECK(csv_init(&parser_, 0) == 0, "libcsv does not start");
  csv_set_delim(&parser_, static_cast<unsigned char>(separator));
  csv_set_space_func(&parser_, separator == '\t' ? is_blank : is_space);
}

bool CsvParser::feed(const char* bytes, std::size_t count, std::int64_t line) {
  if (parser_.pstate == kNoRow) row_line_ = line;
  return csv_parse(&parser_, bytes, count, on_field, on_row, this) == count && excess().empty();
}

bool CsvParser::finish() {
  if (parser_.quoted != 0 && parser_.pstate == kInField) return false;
  return csv_fini(&parser_, on_field, on_row, this) == 0;
}

std::string CsvParser::excess() {
  if (parser_.entry_pos > kMostField) return "a field of more than 1 MiB begins here: is a quote missing?";
  if (fields_.size() > kMostColumns)
    return "a row of more than " + std::to_string(kMostColumns) + " fields begins here: leave columns out";
  const int error = csv_error(&parser_);
  return error == CSV_SUCCESS ? "" : std::string("cannot be parsed: ") + csv_strerror(error);
}

void CsvParser::on_field(void* bytes, std::size_t count, void* self) {
  static_cast<CsvParser*>(self)->fields_.emplace_back(static_cast<const char*>(bytes), count);
}

void CsvParser::on_row(int, void* self) {
  auto* parser = static_cast<CsvParser*>(self);
  parser->rows_.push_back({std::move(parser->fields_), parser->row_line_});
  parser->fields_.clear();
  parser->fields_.reserve(parser->rows_.back().fields.size());
}

}  // namespace outerloop::data
