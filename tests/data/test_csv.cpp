// CSV files in the variants of common programs: separators, headers, numbers, quotes, missing values, texts.
#include <algorithm>
#include <cmath>

#include "common/data/csv.h"
#include "common/data/csv_number.h"
#include "common/data/dataset.h"
#include "common/data/npy.h"
#include "common/data/rows.h"
#include "tests/catch.h"
#include "tests/data/csv_tables.h"
#include "tests/data/files.h"
#include "tests/refusal.h"

using namespace outerloop;
using namespace outerloop::tests;

TEST_CASE("the same table in every notation gives the same numbers") {
  const TemporaryFolder folder;
  const Numbers expected{1.5, -2000, 3, 4e-3};
  for (const char* text :
       {"a,b\n1.5,-2000\n3,4e-3\n", "a;b\n1,5;-2.000,0\n3;0,004\n", "a\tb\n1.5\t-2000\n+3\t0.004\n",
        "\xEF\xBB\xBF"
        "a,b\r\n1.5,\"-2,000\"\r\n3,.004\r\n\r\n",
        "# made by hand\n\n# twice\na,b\n1.5,-2e3\n3,0.004",
        "\"a\",\"b\"\n\"1.5\" , \"-2000\"\n\"3\",\"0.004\"\n"}) {
    INFO(text);
    const auto table = read(written(folder, "t.csv", text));
    CHECK(table.names == Names{"a", "b"});
    CHECK(table.header);
    CHECK(table.rows == 2);
    REQUIRE(table.numbers.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(table.numbers[i] == Approx(expected[i]));
  }
  write_file(folder / "t.csv.gz", gzip(text_bytes("a,b\n1.5,-2000\n3,0.004\n")));
  CHECK(read(folder / "t.csv.gz").numbers == read(written(folder, "t.csv", "1.5,-2000\n3,0.004\n")).numbers);
}

TEST_CASE("a header is told from a row") {
  const TemporaryFolder folder;
  const auto has_header = [&](const std::string& text) {
    return data::CsvFile(written(folder, "t.csv", text)).has_header();
  };
  CHECK(has_header("x,y\n1,2\n"));
  CHECK(has_header("id,kind\na,b\nc,b\n"));
  CHECK(has_header("0,1,2\n5,6,7\n8,9,10\n"));  // pandas' numbers of columns
  CHECK(has_header("year,1990\n1,2\n3,4\n"));
  CHECK_FALSE(has_header("1,2\n3,4\n"));
  CHECK_FALSE(has_header("p,x,p\ne,x,s\np,y,s\n"));
  CHECK_FALSE(has_header("5.1,3.5,setosa\n4.9,3.0,virginica\n"));
  CHECK_FALSE(has_header("1,2\n"));
}

TEST_CASE("numbers in groups, and what is no number") {
  const auto point = [](const char* text) { return data::csv_number(text, data::DecimalMark::point); };
  const auto comma = [](const char* text) { return data::csv_number(text, data::DecimalMark::comma); };
  CHECK(*point("66,040,229") == 66040229.0);
  CHECK(*point("1,234.5") == 1234.5);
  CHECK(*point("1,234") == 1234.0);
  CHECK_FALSE(point("1,23"));
  CHECK_FALSE(point("12,3456"));
  CHECK_FALSE(point("0,125"));
  CHECK(*comma("1,23") == 1.23);
  CHECK(*comma("-1.234,5") == -1234.5);
  CHECK(*comma("1.234") == 1234.0);
  CHECK(*comma("1,234") == 1.234);
  CHECK(*comma("-2,5e-3") == -0.0025);
  CHECK_FALSE(comma("1.5"));
  CHECK_FALSE(comma("0.125"));
  CHECK_FALSE(comma("1,2,3"));
  CHECK(*point(" 1e3 ") == 1000.0);
  CHECK(std::isinf(*point("1e999")));
  CHECK(*point("1e-999") == 0.0);
  for (const char* text : {"", "a", "1 2", "0x10", "inf", "nan", "--1", "1-2", ".", ","}) {
    CHECK_FALSE(point(text));
    CHECK_FALSE(comma(text));
  }
  for (const char* text : {"", " ", "NA", "NaN", "null", "?", "n/a", " na"}) CHECK(data::csv_missing(text));
  for (const char* text : {"0", "none", "nano", "-", "n a"}) CHECK_FALSE(data::csv_missing(text));
  CHECK(data::proven_mark("1.5") == data::DecimalMark::point);
  CHECK(data::proven_mark("1,234.5") == data::DecimalMark::point);
  CHECK(data::proven_mark("0,125") == data::DecimalMark::comma);
  for (const char* text : {"7", "1.234", "1,234", "12.05.2020", "a,b", "."})
    CHECK_FALSE(data::proven_mark(text));
}

TEST_CASE("a file has one decimal mark, found out from all of its numbers") {
  const TemporaryFolder folder;
  const auto numbers = [&](const std::string& text) { return read(written(folder, "t.csv", text)).numbers; };
  // The thousands of the first row are known for such by the comma of the last.
  CHECK(numbers("a;b\n1.234;2\n3;0,5\n") == Numbers{1234, 2, 3, 0.5});
  CHECK(numbers("a;b\n1.234;2\n3;0.5\n") == Numbers{1.234, 2, 3, 0.5});
  CHECK(numbers("a;b\n1,234;2\n3;0.5\n") == Numbers{1234, 2, 3, 0.5});
  CHECK(numbers("a;b\n1,234;2\n3;4\n") == Numbers{1.234, 2, 3, 4});
  CHECK(numbers("a;b\n1.234;2\n3;4\n") == Numbers{1.234, 2, 3, 4});
  const auto path = written(folder, "b.csv", "a;b;c\n1,5;2;x\n3;0.5;y\n");
  CHECK(contains(refusal_of(path), "line 3, column \"b\": \"0.5\" has a decimal point"));
  data::TableOptions without_b;
  without_b.drop = {"b"};
  CHECK(read(path, without_b).numbers == Numbers{1.5, 1, 0, 3, 0, 1});
  without_b.drop = {"a"};
  CHECK(read(path, without_b).numbers == Numbers{2, 1, 0, 0.5, 0, 1});
}

TEST_CASE("fields in quotes hold separators, quotes and line ends, and errors name the right line") {
  const TemporaryFolder folder;
  const auto path = written(folder, "t.csv", "n,text\n1,\"a, \"\"b\"\"\nc\"\n2,d\n3\n");
  data::CsvFile file(path);
  REQUIRE(file.next());
  CHECK(file.fields() == Names{"1", "a, \"b\"\nc"});
  CHECK(file.line() == 2);
  REQUIRE(file.next());
  CHECK(file.line() == 4);
  CHECK(contains(refusal_of(path), "line 5: 1 fields, but the first row has 2"));
  CHECK(contains(refusal_of(written(folder, "q.csv", "a,b\n1,2\n3,\"4\n5,6\n")), "line 3: a quoted field"));
}

TEST_CASE("missing values are an error, or means") {
  const TemporaryFolder folder;
  const auto path = written(folder, "t.csv", "a,b\n1,x\n,y\n3,?\n");
  CHECK(contains(refusal_of(path), "line 3, column \"a\": no value"));
  data::TableOptions mean;
  mean.replace_missing = true;
  const auto table = read(path, mean);
  CHECK(table.inputs == 3);
  CHECK(table.numbers == Numbers{1, 1, 0, 2, 0, 1, 3, 0.5, 0.5});
  CHECK(
      contains(refusal_of(written(folder, "e.csv", "a,b\n1,\n2,NA\n"), mean), "column \"b\" holds no value"));
}

TEST_CASE("texts become 0/1 inputs, long ones are refused, columns are left out") {
  const TemporaryFolder folder;
  std::string text = "id,size,y\n";
  for (int i = 0; i < 40; ++i)
    text += "id" + std::to_string(i) + (i % 2 == 0 ? ",small," : ",large,") + std::to_string(i) + "\n";
  const auto path = written(folder, "t.csv", text);
  CHECK(contains(refusal_of(path), "line 2, column \"id\": \"id0\" is no number"));
  CHECK(contains(refusal_of(path), "--drop \"id\""));
  data::TableOptions options;
  options.drop = {"id"};
  options.labels = "y";
  const auto table = read(path, options);
  CHECK(table.inputs == 2);
  CHECK(Numbers(table.numbers.begin(), table.numbers.begin() + 4) == Numbers{0, 1, 1, 0});
  options.drop = {"1", "nothing"};
  CHECK(contains(refusal_of(path, options), "no column \"nothing\"; there are \"id\", \"size\", \"y\""));
  CHECK(contains(refusal_of(written(folder, "i.csv", "a\n1e999\n2\n")), "no finite number"));
}

TEST_CASE("another file is read by the columns of the first") {
  const TemporaryFolder folder;
  const auto first =
      data::open_rows(written(folder, "a.csv", "a,k,y\n1,x,0\n3,z,1\n"), {{}, "y", false}, nullptr);
  const auto& columns = *first->columns();
  const auto second = data::open_rows(written(folder, "b.csv", "k,a\nw,7\nz,8\n"), {}, &columns);
  Numbers numbers;
  CHECK(second->read(10, numbers) == 2);
  CHECK(numbers == Numbers{7, 0, 0, 8, 0, 1});
  CHECK(second->unknown() == std::map<std::string, std::int64_t>{{"k", 1}});
  const auto refused = [&](const std::string& text) {
    try {
      const auto rows = data::open_rows(written(folder, "c.csv", text), {}, &columns);
      Numbers ignored;
      rows->read(10, ignored);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("not refused");
  };
  CHECK(contains(refused("a,other\n1,2\n"), "\"k\" are missing"));
  CHECK(contains(refused("a,other\n1,2\n"), "knows no columns \"other\""));
  CHECK(contains(refused("a,k\n1,x\nq,x\n"), "line 3, column \"a\": \"q\" is no number"));
  CHECK(contains(refused("a,k\n,x\n2,x\n"), "line 2, column \"a\": no value"));
}

TEST_CASE("the decimal mark of another file is its own, or the first one's where it shows none") {
  const TemporaryFolder folder;
  const auto by_columns_of = [&](const std::string& first, const std::string& second) {
    const auto fitted = data::open_rows(written(folder, "a.csv", first), {}, nullptr);
    const auto rows = data::open_rows(written(folder, "b.csv", second), {}, fitted->columns());
    Numbers numbers;
    while (rows->read(1, numbers) > 0) {
    }
    rows->rewind();
    Numbers again;
    rows->read(10, again);
    CHECK(again == numbers);
    return numbers;
  };
  const std::string commas = "a;b\n1,5;2\n3;4\n", points = "a;b\n1.5;2\n3;4\n", plain = "a,b\n1,2\n3,4\n";
  CHECK(by_columns_of(commas, "a;b\n1.234;7\n5;6\n") == Numbers{1234, 7, 5, 6});
  CHECK(by_columns_of(points, "a;b\n1.234;7\n5;6\n") == Numbers{1.234, 7, 5, 6});
  CHECK(by_columns_of(points, "a;b\n1,234;7\n5;6\n") == Numbers{1234, 7, 5, 6});
  CHECK(by_columns_of(plain, "a;b\n1,234;7\n5;6\n") == Numbers{1.234, 7, 5, 6});
  CHECK(by_columns_of(commas, "a;b\n1.234;7\n5;0.5\n") == Numbers{1.234, 7, 5, 0.5});
  CHECK(by_columns_of(commas, "a,b\n1.234,7\n5,6\n") == Numbers{1.234, 7, 5, 6});
}

TEST_CASE("a CSV file is a dataset, its labels a column") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& path) { return data::open_dataset({"csv", path, 4, {}, {}}, ""); };
  const auto path = written(folder, "t.csv", "a,b,Class\n1,2,10\n3,4,9\n5,6,10\n");
  const auto labelled = open(path);
  CHECK(labelled->class_names == Names{"9", "10"});
  CHECK(labelled->inputs == 2);
  CHECK(open(path + ":a")->class_names == Names{"1", "3", "5"});
  CHECK(open(path + ":./a")->class_names == Names{"1", "3", "5"});
  CHECK(open(written(folder, "u.csv", "a,b\n1,2\n3,4\n"))->class_names == Names{"all"});
  CHECK_THROWS_AS(open(path + ":nowhere"), InputError);
}

TEST_CASE("files that are no CSV are refused by name") {
  const TemporaryFolder folder;
  for (const std::string& text : {std::string(), std::string("\n\n#\n"),
                                  std::string("\xFF\xFE"
                                              "a",
                                              3),
                                  std::string("a\0b\n", 4), std::string("a,a\n1,2\n")}) {
    const auto path = written(folder, "t.csv", text);
    CHECK(refusal_of(path).find(path) == 0);
  }
  CHECK(contains(refusal_of(folder / "none.csv"), "none.csv: no such file"));
  CHECK(contains(refusal_of(folder.path().string()), "is a folder"));
}

TEST_CASE("NPY rows in blocks, of any order and byte order") {
  const TemporaryFolder folder;
  write_file(folder / "c.npy", npy_bytes("<f4", "(3, 2)", raw_bytes<float>({1, 2, 3, 4, 5, 6})));
  auto fortran = npy_bytes("<f4", "(3, 2)", raw_bytes<float>({1, 3, 5, 2, 4, 6}));
  const std::string no = "'fortran_order': False", yes = "'fortran_order': True ";
  const auto at = std::search(fortran.begin(), fortran.end(), no.begin(), no.end());
  REQUIRE(at != fortran.end());
  std::copy(yes.begin(), yes.end(), at);
  write_file(folder / "f.npy", fortran);
  write_file(folder / "b.npy", npy_bytes(">i2", "(3, 2)", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}));
  write_file(
      folder / "h.npy",
      npy_bytes("<f2", "(3, 2)", raw_bytes<std::uint16_t>({0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600})));
  for (const char* name : {"c.npy", "f.npy", "b.npy", "h.npy"}) {
    const auto rows = data::open_rows(folder / name, {}, nullptr);
    Numbers numbers;
    CHECK(rows->read(2, numbers) == 2);
    CHECK(rows->read(2, numbers) == 1);
    CHECK(rows->read(2, numbers) == 0);
    CHECK(numbers == Numbers{1, 2, 3, 4, 5, 6});
    CHECK(data::read_npy(folder / name).numbers == numbers);
  }
}
