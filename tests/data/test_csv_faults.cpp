// CSV files that other programs write in unusual ways, are damaged, or are no CSV at all.
#include <sys/stat.h>

#include "common/data/csv.h"
#include "common/data/dataset.h"
#include "common/data/npy.h"
#include "common/data/rows.h"
#include "tests/catch.h"
#include "tests/data/csv_tables.h"
#include "tests/refusal.h"

using namespace outerloop;
using namespace outerloop::tests;

#ifndef OUTERLOOP_SANITIZED  // under which megabytes of text in one row take minutes
TEST_CASE("a header of any width is found, with rows below it or none") {
  const TemporaryFolder folder;
  // `columns` names, then `rows` rows; the names of two alternating lengths, so that buffers end anywhere.
  const auto table = [&](int columns, int rows, char separator, std::size_t name_bytes) {
    std::string text;
    for (int j = 0; j < columns; ++j)
      text += std::string(name_bytes + static_cast<std::size_t>(j % 2), 'g') + std::to_string(j) +
              (j + 1 < columns ? separator : '\n');
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        text += std::to_string(i) + ".123456789" + (j + 1 < columns ? separator : '\n');
    return written(folder, "wide.csv", text);
  };
  for (const char separator : {',', ';', '\t'}) {
    const auto wide = read(table(12000, 6, separator, 10));  // the first 256 KiB end in a row
    CHECK(wide.header);
    CHECK(wide.inputs == 12000);
    CHECK(wide.rows == 6);
    CHECK(wide.numbers[5 * 12000] == 5.123456789);
    CHECK(data::CsvFile(table(20000, 3, separator, 60)).has_header());  // they end in the header
  }
  const auto widest = read(table(65536, 2, ',', 200));
  CHECK(widest.inputs == 65536);
  CHECK(widest.names[65535] == std::string(201, 'g') + "65535");
  CHECK(contains(refusal_of(table(65537, 2, ',', 3)), "65537 inputs, and at most 65536 are read"));
  CHECK(contains(refusal_of(table(70000, 0, ',', 1000)), "its first two rows are longer than 64 MiB"));
  CHECK(contains(refusal_of(written(folder, "q.csv", "a,b\n\"" + std::string(3 << 20, 'x') + "\n1,2\n")),
                 "line 2: a field of more than 1 MiB begins here"));
  CHECK(contains(refusal_of(written(folder, "q.csv", std::string(2 << 20, ',') + "\n1,2\n")),
                 "line 1: a row of more than 1048576 fields begins here"));
}
#endif

TEST_CASE("lines that end with a carriage return only have numbers of their own") {
  const TemporaryFolder folder;
  std::string text = "a,b\r";
  for (int i = 0; i < 30000; ++i) text += std::to_string(i) + ",1\r";  // ends of buffers fall anywhere
  const auto table = read(written(folder, "t.csv", text));
  CHECK(table.rows == 30000);
  CHECK(contains(refusal_of(written(folder, "t.csv", text + "7,x\r8\r")), "line 30003: 1 fields"));
  std::string both;
  for (const char c : text) both += c == '\r' ? "\r\n" : std::string(1, c);
  CHECK(read(written(folder, "t.csv", both)).numbers == table.numbers);
  CHECK(contains(refusal_of(written(folder, "t.csv", both + "7\r\n")), "line 30002: 1 fields"));
}

TEST_CASE("Excel's line that declares the separator is no row") {
  const TemporaryFolder folder;
  for (const char* text : {"sep=;\r\na;b\r\n1,5;2\r\n", "\xEF\xBB\xBFsep=;\na;b\n1,5;2\n",
                           "\"sep=|\"\na|b\n1.5|2\n", "sep=,\na;,b\n1.5,2\n"}) {
    INFO(text);
    const auto table = read(written(folder, "t.csv", text));
    CHECK(table.header);
    CHECK(table.numbers == Numbers{1.5, 2});
  }
}

TEST_CASE("numbers near the largest are read, infinite ones refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text) { return refusal_of(written(folder, "t.csv", text)); };
  CHECK(read(written(folder, "t.csv", "a\n1e308\n1e308\n")).numbers == Numbers{1e308, 1e308});
  for (const char* infinite : {"inf", "-Infinity", "1.#INF", "1e999"}) {
    CHECK(contains(refused("a,b\n1,2\n3," + std::string(infinite) + "\n5,6\n"),
                   "line 3, column \"b\": \"" + std::string(infinite) + "\" is no finite number"));
    const auto fitted = data::open_rows(written(folder, "a.csv", "a\n1\n2\n"), {}, nullptr);
    const auto other = written(folder, "b.csv", "a\n1\n" + std::string(infinite) + "\n");
    Numbers ignored;
    CHECK(contains(refusal([&] { data::open_rows(other, {}, fitted->columns())->read(9, ignored); }),
                   "is no finite number"));
  }
  CHECK(read(written(folder, "t.csv", "a,b\n1,inf\n2,sup\n")).inputs == 3);  // two texts
}

TEST_CASE("a header without rows is no example") {
  const TemporaryFolder folder;
  CHECK(contains(refusal_of(written(folder, "t.csv", "a,b,c\n")), "a header without rows"));
  CHECK(contains(refusal_of(written(folder, "t.csv", ",x\n")), "a header without rows"));
  CHECK(read(written(folder, "t.csv", "1,red\n")).numbers == Numbers{1, 1});
  const auto fitted = data::open_rows(written(folder, "a.csv", "a,b\nx,y\nz,y\n"), {}, nullptr);
  Numbers ignored;
  CHECK(
      contains(refusal([&] {
                 data::open_rows(written(folder, "b.csv", "a,b\n"), {}, fitted->columns())->read(9, ignored);
               }),
               "holds a header without rows"));
}

TEST_CASE("packed files, pages and other encodings are named as what they are") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text) { return refusal_of(written(folder, "t.csv", text)); };
  CHECK(contains(refused(std::string("\xFF\xFE"
                                     "a\0\n\0",
                                     6)),
                 "says that it is UTF-16: save it as UTF-8"));
  CHECK(contains(refused(std::string("\xFF\xFE\0\0a\0\0\0", 8)), "says that it is UTF-32: save it as UTF-8"));
  CHECK(contains(refused("\x28\xB5\x2F\xFD$A"), "packed by zstd: unpack it"));
  CHECK(contains(refused("PK\x03\x04\x14"), "a ZIP archive or a workbook"));
  CHECK(contains(refused("<!DOCTYPE html>\n<html><body>1,2</body></html>\n"), "an HTML page"));
  CHECK(contains(refused("1,2\n3,\x01\x02\n"), "no text, so no CSV file"));
}

TEST_CASE("texts from a table are printed on one line, without codes for the terminal") {
  const TemporaryFolder folder;
  const std::string bad = "\"e\n\x1B[2J\"";
  for (const std::string& message :
       {refusal_of(written(folder, "t.csv", bad + ",b\n1,2\n,3\n")),
        refusal_of(written(folder, "t.csv", bad + "," + bad + "\n1,2\n")),
        refusal_of(written(folder, "t.csv", bad + ",b\n1,2\n"), {{"nothing"}, "", false})}) {
    CHECK(contains(message, "\"e\\n\\x1b[2J\""));
    CHECK(message.find_first_of("\n\x1B") == std::string::npos);
  }
  write_file(folder / "a.npy", npy_bytes("<\x1B[2J", "(3, 2)", Bytes(48)));
  CHECK(contains(refusal([&] { data::read_npy(folder / "a.npy"); }), "NumPy type '<\\x1b[2J'"));
}

TEST_CASE("datasets advise no flags of apply") {
  const TemporaryFolder folder;
  for (const char* text : {"a,b\n1,\n2,3\n", "a,b\n1,\n2,NA\n"}) {
    const auto path = written(folder, "t.csv", text);
    const auto message = refusal([&] { data::open_dataset({"csv", path, 4, {}, {}}, ""); });
    CHECK(contains(message, "column \"b\""));
    CHECK_FALSE(contains(message, "--"));
  }
}

TEST_CASE("a pipe is refused, not waited for") {
  const TemporaryFolder folder;
  for (const char* name : {"t.csv", "t.csv.gz", "x.npy"}) {
    REQUIRE(::mkfifo((folder / name).c_str(), 0600) == 0);
    CHECK(refusal([&] { data::open_rows(folder / name, {}, nullptr); }) ==
          (folder / name) + ": is a pipe or a device, no file: check the path");
  }
}
