// Files that are truncated, corrupted, foreign or of a newer version are rejected with one line that names
// them.
#include <hdf5.h>
#include <sys/stat.h>

#include <cmath>
#include <functional>

#include "common/store/hdf5.h"
#include "common/store/sealed_file.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::store;
using namespace outerloop::tests;

namespace {

std::string refused(const std::string& path) {
  return refusal([&] { read_checkpoint(path); });
}

/// A checkpoint that spans many blocks, so that truncation and bit flips affect θ, Adam, history and the
/// library's own structures.
std::string large_checkpoint(const Folder& folder) {
  Checkpoint checkpoint = sample_checkpoint();
  for (auto& entry : checkpoint.history) entry.second.assign(4000, 1.0);
  write_checkpoint(folder / "c.h5", checkpoint);
  return read_bytes(folder / "c.h5");
}

/// Changes the document of a sealed file and writes it again with a correct user block.
template <class Change>
void reseal(const std::string& path, const Change& change) {
  Document document = decode_hdf5(read_sealed(path, kFormatVersion));
  change(document);
  auto bytes = encode_hdf5(document);
  seal(bytes, kFormatVersion);
  write_bytes(path, std::string(bytes.begin(), bytes.end()));
}

}  // namespace

TEST_CASE("a file cut anywhere is refused") {
  const Folder folder;
  const std::string whole = large_checkpoint(folder);
  const std::string path = folder / "cut.h5";
  std::vector<std::size_t> cuts = {0, 1, 15, 16, 17, 31, 63, 511, 512, 513, whole.size() - 1};
  for (std::size_t at = 4096; at < whole.size(); at += 4096) cuts.push_back(at);
  for (std::size_t at = 777; at < whole.size(); at += 5741) cuts.push_back(at);
  for (const auto at : cuts) {
    write_bytes(path, whole.substr(0, at));
    const auto line = refused(path);
    INFO("cut at " << at << " of " << whole.size() << ": " << line);
    CHECK(contains(line, path));
  }
  write_bytes(path, whole + "x");
  CHECK(contains(refused(path), "bytes follow its first block"));
  write_bytes(path, whole);
  CHECK(refused(path).empty());
}

TEST_CASE("a bit flipped anywhere is refused") {
  const Folder folder;
  const std::string whole = large_checkpoint(folder);
  const std::string path = folder / "flipped.h5";
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < 512; at += 3) places.push_back(at);  // all fields of the user block
  for (std::size_t block = 0; block * 512 < whole.size(); ++block)
    places.push_back(std::min(whole.size() - 1, block * 512 + (block * 131) % 512));
  for (const auto at : places) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    write_bytes(path, flipped);
    const auto line = refused(path);
    INFO("flipped at " << at << " of " << whole.size() << ": " << line);
    CHECK(contains(line, path));
  }
}

TEST_CASE("what is no file of ours is named") {
  const Folder folder;
  const std::string path = folder / "x.h5";
  SECTION("nothing there") { CHECK(contains(refused(path), "No such file")); }
  SECTION("a folder") { CHECK(contains(refused(folder.path()), "no regular file")); }
  SECTION("a pipe, without waiting for a writer") {
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK(contains(refused(path), "no regular file"));
  }
  SECTION("text") {
    write_bytes(path, std::string(5000, 'x'));
    CHECK(contains(refused(path), "not a file of Outerloop"));
  }
  SECTION("someone else's HDF5 file") {
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    REQUIRE(file >= 0);
    H5Fclose(file);
    CHECK(contains(refused(path), "not a file of Outerloop"));
  }
  SECTION("our magic before nonsense") {
    std::vector<std::uint8_t> bytes(4096, 'x');
    seal(bytes, kFormatVersion);
    write_bytes(path, std::string(bytes.begin(), bytes.end()));
    CHECK(contains(refused(path), "HDF5"));
  }
  SECTION("a rule where a checkpoint is needed") {
    write_rule(path, sample_rule());
    CHECK(contains(refused(path), "no checkpoint"));
  }
}

TEST_CASE("a file of a newer format says so") {
  const Folder folder;
  const std::string path = folder / "x.h5";
  write_checkpoint(path, sample_checkpoint());
  std::string bytes = read_bytes(path);
  bytes[16] = static_cast<char>(kFormatVersion + 1);  // the version's offset in the user block
  write_bytes(path, bytes);
  const auto line = refused(path);
  CHECK(contains(line, "written by a newer version"));
  CHECK(contains(line, "update Outerloop"));
}

TEST_CASE("a promised length beyond the file costs no memory") {
  const Folder folder;
  const std::string path = folder / "x.h5";
  write_checkpoint(path, sample_checkpoint());
  std::string bytes = read_bytes(path);
  for (int i = 24; i < 32; ++i) bytes[static_cast<std::size_t>(i)] = '\x7f';
  write_bytes(path, bytes);
  CHECK(contains(refused(path), "ends early"));
}

namespace {

/// A change of a sample checkpoint, and what the line that refuses it says.
struct Forgery {
  const char* what;
  std::function<void(Document&)> change;
  const char* expected;
};

void check_refused(const Forgery& forgery, bool with_checksum) {
  const Folder folder;
  const std::string path = folder / "x.h5";
  write_checkpoint(path, sample_checkpoint());
  reseal(path, [&](Document& d) {
    forgery.change(d);
    if (with_checksum) d.attributes["checksum"] = d.checksum();
  });
  const auto line = refused(path);
  INFO(forgery.what << ": " << line);
  CHECK(contains(line, path));
  CHECK(contains(line, forgery.expected));
}

}  // namespace

TEST_CASE("attributes that do not describe the file are refused although its seal is right") {
  const std::vector<Forgery> forgeries{
      {"a dataset's bytes", [](Document& d) { d.datasets["/history/seconds"].bytes[3] ^= 1; }, "checksum"},
      {"theta_sha256", [](Document& d) { d.attributes["theta_sha256"] = std::string(64, '0'); },
       "theta_sha256"},
      {"an update below zero", [](Document& d) { d.attributes["update"] = std::int64_t{-1}; },
       "attribute update is out of range: -1"},
      {"an update that no run can reach",
       [](Document& d) { d.attributes["update"] = std::int64_t{0x7fffffffffffffff}; },
       "attribute update is out of range"},
      {"a time that is no number", [](Document& d) { d.attributes["seconds"] = std::nan(""); },
       "attribute seconds is out of range"},
      {"a kind with an escape code and line ends",
       [](Document& d) { d.attributes["kind"] = std::string("\x1b[2J\nrecipe"); }, "\\x1b[2J\\nrecipe"},
      {"an unknown kind", [](Document& d) { d.attributes["kind"] = std::string("recipe"); }, "recipe"},
  };
  for (const auto& forgery : forgeries) check_refused(forgery, false);
}

TEST_CASE("datasets that do not fit together are refused although their checksum is right") {
  const std::vector<Forgery> forgeries{
      {"a parameter is missing", [](Document& d) { d.datasets.erase("/theta/delta.b"); },
       "position 1 is missing"},
      {"a moment of another shape",
       [](Document& d) {
         d.datasets["/adam/m/delta.b"].shape = {2, 2};
       },
       "/adam/m/delta.b has shape [2, 2], not [4]"},
      {"columns of different lengths",
       [](Document& d) { d.datasets["/history/seconds"] = Dataset::float64({1.0}, 0, {1}); }, "/history/"},
      {"a stream's units do not give its phi",
       [](Document& d) {
         d.datasets["/streams/10/units"] = Dataset::integers({5, 1LL << 62, 3});
       },
       "stream 10"},
      {"another element type", [](Document& d) { d.datasets["/adam/step"] = Dataset::text("7"); },
       "/adam/step"},
      {"steps below zero", [](Document& d) { d.datasets["/adam/step"] = Dataset::integer(-5); },
       "/adam/step is out of range: -5"},
      {"a counter below zero", [](Document& d) { d.datasets["/counters/gradients"] = Dataset::integer(-1); },
       "/counters/gradients is out of range: -1"},
      {"a column of two dimensions",
       [](Document& d) {
         for (auto& [name, dataset] : d.datasets)
           if (name.rfind("/history/", 0) == 0) dataset.shape.push_back(1);
       },
       "is no column"},
      {"a stream that is there twice",
       [](Document& d) {
         auto copies = d.datasets;
         for (const auto& [name, dataset] : copies)
           if (name.rfind("/streams/10/", 0) == 0) d.datasets["/streams/010/" + name.substr(12)] = dataset;
       },
       "stream 10 is there twice"},
  };
  for (const auto& forgery : forgeries) check_refused(forgery, true);
}

namespace {

std::string kept_file(int version) {
  return OUTERLOOP_STORE_DATA "/format" + std::to_string(version) + "_checkpoint.h5";
}

}  // namespace

TEST_CASE("files of every format since the first still read") {
  // Each file was written once by the hidden case below; they must stay readable after a change of the
  // format.
  const int version = GENERATE(range(1, kFormatVersion + 1));
  const auto contents = read_contents(kept_file(version));
  CHECK(contents.format_version == version);
  const auto& found = contents.checkpoint;
  const auto expected = sample_checkpoint();
  CHECK(contents.theta_sha256 == "6a38035ac67d3243bb8d56bb114c691fd5cca02cc85d4469dccdbfa8a576ad28");
  CHECK(found.rule.layout.signature() == "top.in.w [2, 3]\ndelta.b [4]\nmerge.w [1, 1, 2]\n");
  CHECK(found.rule.theta == expected.rule.theta);
  CHECK(found.rule.theta_average == expected.rule.theta_average);
  CHECK(found.adam_v == expected.adam_v);
  CHECK(found.history.at("seconds") == expected.history.at("seconds"));
  CHECK(std::isnan(found.history.at("meta_objective").at(1)));
  CHECK(found.streams.at(1).lanes.at(0).phi == expected.streams.at(1).lanes.at(0).phi);
  CHECK(found.counters == expected.counters);
  CHECK(found.dataset_sha256 == expected.dataset_sha256);
}

TEST_CASE("write the file of this format", "[.write-format]") {
  write_checkpoint(kept_file(kFormatVersion), sample_checkpoint());
}
