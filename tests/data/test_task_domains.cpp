// Tasks by domain: shares of domains, and the number of words in text tasks.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "common/data/task.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/data/task_examples.h"

namespace outerloop::tests {
namespace {

TEST_CASE("a task of a bag of words has its most frequent words, so many as are drawn") {
  auto bags = std::make_shared<data::Dataset>(*dataset("words", 10, 20, 9));
  bags->size = 0;
  bags->bag_of_words = true;
  const auto vectors = [&] {
    auto other = std::make_shared<data::Dataset>(*bags);
    other->bag_of_words = false;
    return other;
  }();
  data::TaskOptions options = small_options();
  const auto inputs = [&](const std::shared_ptr<const data::Dataset>& from, std::uint32_t index) {
    return data::TaskDistribution(options, {{from, 1.0}}, 5).sample(0, index).architecture.inputs();
  };
  CHECK(inputs(bags, 0) == 9);
  options.words = {4, 7};
  std::set<std::int64_t> drawn;
  const data::TaskDistribution tasks(options, {{bags, 1.0}}, 5);
  for (std::uint32_t index = 0; index < 60; ++index) {
    const data::Task task = tasks.sample(0, index);
    const std::int64_t words = task.architecture.inputs();
    drawn.insert(words);
    std::vector<std::int32_t> places = task.permutation;
    std::sort(places.begin(), places.end());
    REQUIRE(static_cast<std::int64_t>(places.size()) == words);
    for (std::int64_t i = 0; i < words; ++i) CHECK(places[static_cast<std::size_t>(i)] == i);
    const rule::StepData step = tasks.step_data(task, 2);
    CHECK(step.inner.inputs == words);
    CHECK(pixel_of(task, step.a, 3, 3) == 30);
    CHECK(inputs(vectors, index) == 9);
  }
  CHECK(drawn == std::set<std::int64_t>{4, 5, 6, 7});
  options.words = {8, 20};
  CHECK(inputs(bags, 3) <= 9);
  options.words = {12, 20};
  CHECK(inputs(bags, 3) == 9);
}

std::shared_ptr<const data::Dataset> dataset_of(data::Domain domain, const std::string& name) {
  auto result = std::make_shared<data::Dataset>(*dataset(name, 10, 20));
  result->domain = domain;
  return result;
}

TEST_CASE("domains are drawn by their shares, then datasets by weight within theirs") {
  const std::vector<data::WeightedDataset> datasets{{dataset_of(data::Domain::images, "a"), 1.0},
                                                    {dataset_of(data::Domain::tables, "b"), 100.0},
                                                    {dataset_of(data::Domain::images, "c"), 3.0}};
  data::TaskOptions options = small_options();
  options.share = {3.0, 8.0, 1.0};  // there are no texts
  const data::TaskDistribution tasks(options, datasets, 2);
  constexpr int kTasks = 4000;
  std::map<std::size_t, int> count;
  for (std::uint32_t i = 0; i < kTasks; ++i) ++count[tasks.sample(1, i).dataset];
  CHECK(std::abs(count[1] - kTasks / 4) < 110);
  CHECK(std::abs(count[0] - kTasks * 3 / 16) < 100);
  CHECK(std::abs(count[2] - kTasks * 9 / 16) < 125);
}

TEST_CASE(
    "without shares datasets are drawn as before there were any, and all else is drawn alike with them") {
  const std::vector<data::WeightedDataset> datasets{{dataset_of(data::Domain::images, "a"), 1.0},
                                                    {dataset_of(data::Domain::texts, "b"), 2.5},
                                                    {dataset_of(data::Domain::tables, "c"), 0.5}};
  data::TaskOptions options = small_options();
  const data::TaskDistribution plain(options, datasets, 9);
  options.share = {1.0, 1.0, 1.0};
  const data::TaskDistribution shared(options, datasets, 9);
  for (std::uint32_t i = 0; i < 500; ++i) {
    double left = rule::Random(9, 4, i, rule::Purpose::task_dataset).uniform(0) * 4.0;
    std::size_t expected = 0;
    for (const double weight : {1.0, 2.5}) {
      if (left < weight) break;
      left -= weight;
      ++expected;
    }
    data::Task task = plain.sample(4, i), other = shared.sample(4, i);
    CHECK(task.dataset == expected);
    other.dataset = task.dataset;
    CHECK(equal(task, other));
  }
}

TEST_CASE("a domain that is there and has no share is refused, and so is a share that is none") {
  const std::vector<data::WeightedDataset> datasets{{dataset_of(data::Domain::images, "a"), 1.0},
                                                    {dataset_of(data::Domain::texts, "b"), 1.0}};
  data::TaskOptions options = small_options();
  options.share = {1.0, 0.0, 0.0};
  const auto said = [&] { return refusal([&] { data::TaskDistribution(options, datasets, 0); }); };
  holds(said(), "tasks.dataset b: no share for its domain: set tasks.share.texts");
  options.share = {1.0, 1.0, -1.0};
  holds(said(), "tasks.share.tables");
  options.share = {1.0, std::nan(""), 0.0};
  holds(said(), "tasks.share.texts");
}

}  // namespace
}  // namespace outerloop::tests
