// outerloop plot: figures that are whole files with the expected texts, ticks that are round, and errors that
// name places.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <regex>
#include <set>

#include "cli/figures/chart.h"
#include "cli/figures/chart_axis.h"
#include "cli/figures/colours.h"
#include "cli/figures/figure_data.h"
#include "cli/figures/figure_parts.h"
#include "cli/figures/plot.h"
#include "cli/figures/run_figures.h"
#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::tests;

namespace {

std::string metrics_line(int update, int segment, const std::string& objective) {
  return "{\"update\":" + std::to_string(update) + ",\"segment\":" + std::to_string(segment) +
         ",\"seconds\":3.1,\"meta_objective\":" + objective +
         ",\"meta_objective_smooth\":1.6,\"gradient_norm\":0.8,\"staleness_mean\":0.5,\"gradients\":96}\n";
}

std::string sample_metrics() {
  std::string text = "{\"event\":\"checkpoint\",\"update\":0,\"segment\":0}\n";
  for (int update = 1; update <= 40; ++update)
    text +=
        metrics_line(update, update > 25 ? 1 : 0, update == 7 ? "null" : std::to_string(1.0 + 1.0 / update));
  return text;
}

const char* const kEvaluation = R"({
  "rule": "rule.h5", "update": 500, "tables": [
    {"dataset": "fashion_mnist", "size": 14, "labels_per_class": 10, "base_model": "2 x 64 + 32", "inner_steps": 100,
     "draws": 50, "rows": [
       {"method": "rule", "readout": "ridge", "accuracy": 0.579, "ci95": 0.011, "minus_random": 0.07, "minus_random_ci95": 0.008},
       {"method": "random", "readout": "ridge", "accuracy": 0.509, "ci95": 0.01, "minus_random": 0.0, "minus_random_ci95": 0.0},
       {"method": "pixels", "readout": "ridge", "accuracy": null, "ci95": null},
       {"method": "rule", "readout": "knn5", "accuracy": 0.25, "ci95": 0.01}
    ]},
    {"dataset": "glyphs & <more>", "size": 28, "rows": [{"method": "supervised", "readout": "knn5", "accuracy": 1}]}
  ]})";

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// A PNG by its signature, header and end (ISO 15948), of at least 400 pixels each way, that is not one
/// colour.
void check_png(const std::string& path) {
  const auto bytes = read_bytes(path);
  REQUIRE(bytes.size() > 5000);  // a blank sheet of this size packs into less
  CHECK(bytes.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  CHECK(bytes.substr(12, 4) == "IHDR");
  CHECK(big_endian(bytes, 16) == 2 * 860);
  CHECK(big_endian(bytes, 20) >= 2 * 150);
  CHECK(bytes.substr(bytes.size() - 8, 4) == "IEND");
}

void check_svg(const std::string& path, const std::vector<std::string>& texts) {
  const auto svg = read_bytes(path);
  CHECK(contains(svg.substr(0, 300), "<svg "));
  CHECK(contains(svg.substr(svg.size() - 10), "</svg>"));
  const auto description = svg.substr(0, svg.find("</desc>"));
  for (const auto& text : texts) {
    INFO(text);
    CHECK(contains(description, "\n" + text + "\n"));
  }
}

std::vector<std::string> labels(const std::vector<cli::Tick>& ticks) {
  std::vector<std::string> result;
  for (const auto& tick : ticks) result.push_back(tick.label);
  return result;
}

}  // namespace

TEST_CASE("the learning curve is drawn from a run's metrics") {
  const Folder folder;
  write_bytes(folder / "metrics.jsonl", sample_metrics());
  const auto paths = cli::draw_learning_curve(folder / "metrics.jsonl", folder / "figures/new");
  REQUIRE(paths.size() == 3);
  check_png(folder / "figures/new/learning_curve.png");
  const auto pdf = read_bytes(folder / "figures/new/learning_curve.pdf");
  CHECK(pdf.substr(0, 5) == "%PDF-");
  CHECK(contains(pdf.substr(pdf.size() - 10), "%%EOF"));
  // The same figure is the same file.
  cli::draw_learning_curve(folder / "metrics.jsonl", folder / "again");
  CHECK(read_bytes(folder / "again/learning_curve.pdf") == pdf);
  check_svg(folder / "figures/new/learning_curve.svg",
            {"Meta-objective", "each update", "smoothed", "gradient norm", "updates behind", "update",
             "resumed", "40"});
}

TEST_CASE("a learning curve is drawn from little") {
  const Folder folder;
  std::string metrics = metrics_line(1, 0, "1.5");
  std::vector<std::string> texts = {"Meta-objective", "1"};
  SECTION("one update") {}
  SECTION("no finite objective at all") { metrics = metrics_line(1, 0, "null") + metrics_line(2, 0, "null"); }
  SECTION("objectives alone") {
    metrics = "{\"update\":1,\"meta_objective\":2}\n{\"update\":2,\"meta_objective\":-1e300}\n";
  }
  SECTION("huge and tiny") { metrics += metrics_line(2, 0, "1e300") + metrics_line(3, 0, "1e-300"); }
  write_bytes(folder / "metrics.jsonl", metrics);
  cli::draw_learning_curve(folder / "metrics.jsonl", folder.path());
  check_png(folder / "learning_curve.png");
  check_svg(folder / "learning_curve.svg", texts);
}

TEST_CASE("a line that the run is still writing is left out, events are skipped") {
  const Folder folder;
  write_bytes(folder / "m.jsonl", sample_metrics() + "{\"update\":41,\"meta_obj");
  const auto curve = cli::read_learning_curve(folder / "m.jsonl");
  REQUIRE(curve.update.size() == 40);
  CHECK(curve.update.back() == 40);
  CHECK(std::isnan(curve.meta_objective[6]));
  CHECK(curve.meta_objective[1] == Approx(1.5));
  CHECK(curve.segment[24] == 0);
  CHECK(curve.segment[25] == 1);
}

TEST_CASE("what a run was evaluated on while it went on is drawn, trained on beside held out") {
  const Folder folder;
  const auto evaluation = [](int update, const std::string& accuracy, bool best) {
    const auto part = [&](const std::string& dataset, const std::string& role, double objective) {
      return "{\"dataset\":\"" + dataset + "\",\"role\":\"" + role +
             "\",\"meta_objective\":" + std::to_string(objective) + ",\"accuracy\":" + accuracy + "}";
    };
    return "{\"event\":\"evaluation\",\"segment\":0,\"update\":" + std::to_string(update) +
           ",\"best\":" + (best ? "true" : "false") + ",\"datasets\":[" +
           part("glyphs", "train", 1.0 / (update + 1)) + "," + part("glyphs", "validation", 1.0) + "," +
           part("fashion_mnist", "test", 1.1) + "]}\n";
  };
  const std::string metrics = evaluation(0, "0.5", true) + sample_metrics() + evaluation(10, "0.25", true) +
                              evaluation(20, "null", false);
  write_bytes(folder / "metrics.jsonl", metrics);
  // A resume has evaluated update 20 again.
  write_bytes(folder / "again.jsonl", metrics + evaluation(20, "0.75", false));
  const auto curves = cli::read_held_out_curves(folder / "again.jsonl");
  REQUIRE(curves.datasets.size() == 3);
  CHECK(curves.best == 10);
  CHECK(curves.datasets[0].update == std::vector<double>{0, 10, 20});
  CHECK(curves.datasets[0].meta_objective[1] == Approx(1.0 / 11));
  CHECK(curves.datasets[1].role == "validation");
  CHECK(curves.datasets[2].accuracy[2] == 0.75);
  CHECK(std::isnan(cli::read_held_out_curves(folder / "metrics.jsonl").datasets[2].accuracy[2]));
  CHECK(cli::plot({folder.path()}, folder / "out") == 0);
  check_png(folder / "out/held_out_curve.png");
  check_svg(folder / "out/held_out_curve.svg",
            {"Evaluations", "meta-objective", "glyphs, train", "glyphs, validation", "fashion_mnist, test",
             "Few-shot accuracy on the same tasks", "accuracy, %", "update", "best"});
  write_bytes(folder / "bad.jsonl", sample_metrics() + "{\"event\":\"evaluation\",\"update\":3}\n");
  CHECK(contains(refusal([&] { cli::plot({folder / "bad.jsonl"}, folder / "bad"); }),
                 "bad.jsonl:42: an evaluation without its datasets"));
  write_bytes(folder / "none.jsonl", sample_metrics());
  CHECK(cli::draw_held_out_curve(folder / "none.jsonl", folder / "none").empty());
}

TEST_CASE("accuracy bars are drawn from evaluate's JSON") {
  const Folder folder;
  write_bytes(folder / "e.json", kEvaluation);
  cli::draw_accuracy(folder / "e.json", folder.path());
  check_png(folder / "accuracy.png");
  check_svg(folder / "accuracy.svg",
            {"Few-shot accuracy on fashion_mnist, 14 × 14", "learned rule", "random initialisation",
             "raw pixels", "57.9 % ± 1.1   (+7.0 ± 0.8)", "50.9 % ± 1.0", "no number",
             "Few-shot accuracy on glyphs &amp; &lt;more&gt;, 28 × 28", "supervised, knn5", "100.0 %"});
  // The other read-outs of a table with ridge are left out.
  CHECK_FALSE(contains(read_bytes(folder / "accuracy.svg"), "25.0 %"));
}

TEST_CASE("a figure is drawn from its JSON: lines over a condition, groups, panels") {
  const Folder folder;
  const auto row = [](const std::string& method, const std::string& rest) {
    return "{\"method\": \"" + method + "\", \"readout\": \"ridge\", \"ci95\": 0.01, " + rest + "}";
  };
  const auto table = [&](const std::string& condition, const std::string& accuracy) {
    return "{\"dataset\": \"digits\", \"size\": 14, \"draws\": 3, " + condition + ", \"rows\": [" +
           row("rule", "\"accuracy\": " + accuracy) + "," + row("random", "\"accuracy\": 0.25") + "]}";
  };
  const auto drawn = [&](const std::string& name, const std::string& rest,
                         const std::vector<std::string>& texts) {
    write_bytes(folder / (name + ".json"), "{\"figure\": \"" + name + "\", " + rest + "}");
    CHECK(cli::plot({folder / (name + ".json")}, folder.path()) == 0);
    check_png(folder / (name + ".png"));
    check_svg(folder / (name + ".svg"), texts);
  };
  drawn("widths",
        "\"trained\": {\"min\": 16, \"max\": 64, \"label\": \"in meta-training\"}, \"tables\": [" +
            table("\"condition_value\": 32", "0.5") + "," + table("\"condition_value\": 10000", "0.75") + "]",
        {"Few-shot accuracy on digits, 14 × 14", "learned rule", "random initialisation",
         "units of the one hidden layer", "10,000", "70", "in meta-training",
         "mean and 95 % interval over 3 draws"});
  drawn("nonlinearities",
        "\"tables\": [" + table("\"condition\": \"ReLU\"", "0.5") + "," +
            table("\"condition\": \"tanh\"", "0.75") + "]",
        {"ReLU", "tanh", "learned rule", "75.0 % ± 1.0"});
  drawn("steps",
        "\"training_horizon\": 10, \"tables\": [{\"dataset\": \"digits\", \"rows\": [" +
            row("vae", "\"accuracy\": 0.5, \"steps\": 1, \"loss\": 90, \"loss_ci95\": 1") + "," +
            row("vae", "\"accuracy\": 0.6, \"steps\": 100, \"loss\": 80, \"loss_ci95\": 1") + "," +
            row("random", "\"accuracy\": 0.4") + "]}]",
        {"Few-shot accuracy on digits", "VAE", "steps of training without labels", "longest in meta-training",
         "Loss, nats per example", "100"});
  drawn("explained-variance",
        "\"dataset\": \"digits\", \"curves\": [{\"method\": \"pixels\", \"cumulative\": [0.5, 1.0], "
        "\"ci95\": [0, 0]}]",
        {"Cumulative explained variance, digits", "raw pixels", "principal components", "100"});
  drawn("explained-variance",
        "\"dataset\": \"columns\", \"size\": 0, \"draws\": 4, \"inner_steps\": 30, \"curves\": [{\"method\": "
        "\"pixels\", \"cumulative\": [0.5, 1.0], \"ci95\": [0, 0]}]",
        {"raw inputs", "30 inner steps; mean and 95 % interval over 4 draws"});
  drawn("filters",
        "\"size\": 2, \"panels\": [{\"title\": \"before\", \"filters\": [[1, -1, 0, 0], [0, 0, 0, 0]]}]",
        {"First-layer filters", "before"});
  drawn("embeddings",
        "\"embeddings\": [{\"dataset\": \"moons\", \"labels\": [0, 1], \"classes\": [\"upper\", \"lower\"], "
        "\"views\": [{\"steps\": 7, "
        "\"points\": [[0, 1, 2], [3, 4, 5]]}]}]",
        {"moons, 7 steps", "upper", "lower", "component 1", "component 2", "component 3"});
}

TEST_CASE("several runs are drawn in one figure") {
  const Folder folder;
  const std::string evaluation =
      "{\"event\":\"evaluation\",\"segment\":0,\"update\":10,\"datasets\":[{\"dataset\":\"glyphs\",\"role\":"
      "\"validation\",\"meta_objective\":1.1,\"accuracy\":0.5}]}\n";
  for (const char* run : {"first", "second", "other/first"}) {
    std::filesystem::create_directories(folder / run);
    write_bytes(folder / (std::string(run) + "/metrics.jsonl"), sample_metrics() + evaluation);
  }
  CHECK(cli::plot({folder / "first", folder / "second/"}, folder / "out") == 0);
  check_png(folder / "out/learning_curves.png");
  check_svg(folder / "out/learning_curves.svg",
            {"Meta-objective, smoothed", "first", "second", "Evaluations on glyphs, validation", "update"});
  // Two folders of one name are told apart by their paths.
  CHECK(cli::plot({folder / "first", folder / "other/first/metrics.jsonl"}, folder / "paths") == 0);
  check_svg(folder / "paths/learning_curves.svg", {folder / "first", folder / "other/first/metrics.jsonl"});
  write_bytes(folder / "e.json", kEvaluation);
  CHECK(contains(refusal([&] {
                   cli::plot({folder / "first", folder / "e.json"}, folder / "never");
                 }),
                 "e.json: several inputs are drawn in one figure where each is a run directory"));
  CHECK_FALSE(std::filesystem::exists(folder / "never"));
}

TEST_CASE("runs of one name have as much of their paths in the legend as tells them apart") {
  using Names = std::vector<std::string>;
  CHECK(cli::run_names({"runs/a/rule.h5", "runs/b/rule.h5", "runs/c"}) == Names{"a/rule", "b/rule", "c"});
  CHECK(cli::run_names({"runs/v1.2/", "./rule.h5", "runs/y/rule.h5"}) == Names{"v1.2", "rule", "y/rule"});
  CHECK(cli::run_names({"r/a/rule.h5", "r/b/rule.h5", "/s/a/rule.h5"}) ==
        Names{"r/a/rule", "b/rule", "s/a/rule"});
  CHECK(cli::run_names({"a/rule.h5", "a/rule.h5"}) == Names{"a/rule", "a/rule"});  // one run, twice
}

TEST_CASE("a colour that is wished twice has shades, and none takes another's wish") {
  using namespace cli;
  const auto darker = shade(palette::blue, 1);
  const auto colours = distinct_colours(
      {palette::blue, palette::sky, palette::blue, darker, palette::blue.with_alpha(0.5), palette::text});
  REQUIRE(colours.size() == 6);
  const auto same = [](const Colour& a, const Colour& b) {
    return a.red == b.red && a.green == b.green && a.blue == b.blue;
  };
  CHECK(same(colours[0], palette::blue));
  CHECK(same(colours[1], palette::sky));
  CHECK(same(colours[3], darker));
  CHECK(same(colours[5], palette::text));
  CHECK(colours[4].alpha == 0.5);
  for (const Colour& hue : {palette::blue, palette::vermilion, palette::grey, palette::text}) {
    const auto eight = distinct_colours(std::vector<Colour>(8, hue));
    for (std::size_t i = 0; i < eight.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        CHECK(std::hypot(eight[i].red - eight[j].red, eight[i].green - eight[j].green,
                         eight[i].blue - eight[j].blue) > 0.03);
  }
}

namespace {

/// The colours of the lines of that width in an SVG of Cairo. Checks that none begins left of the sheet.
std::set<std::string> line_colours(const std::string& path, const std::string& width) {
  const std::string svg = read_bytes(path);
  const std::regex line("<path[^>]*>"), of_width("stroke-width(:|=\"|: )" + width + "[;\"]"),
      colour("stroke(:|=\"|: )(rgb\\([^)]*\\))");
  std::set<std::string> colours;
  for (std::sregex_iterator at(svg.begin(), svg.end(), line), end; at != end; ++at) {
    const std::string path_element = at->str();
    std::smatch found;
    if (!std::regex_search(path_element, of_width)) continue;
    CHECK_FALSE(contains(path_element, "M -"));  // on the sheet, also in the legend
    if (std::regex_search(path_element, found, colour)) colours.insert(found[2]);
  }
  return colours;
}

}  // namespace

TEST_CASE("no two curves of a figure share a colour") {
  const Folder folder;
  std::string datasets;
  for (const auto& [role, count] : {std::pair("train", 5), std::pair("validation", 4), std::pair("test", 3)})
    for (int i = 0; i < count; ++i)
      datasets += std::string(datasets.empty() ? "" : ",") + "{\"dataset\":\"d" + std::to_string(i) +
                  "\",\"role\":\"" + role + "\",\"meta_objective\":1." + std::to_string(i) +
                  ",\"accuracy\":0.5}";
  std::string metrics = sample_metrics();
  for (const char* update : {"0", "10"})
    metrics += std::string("{\"event\":\"evaluation\",\"segment\":0,\"update\":") + update +
               ",\"best\":false,\"datasets\":[" + datasets + "]}\n";
  write_bytes(folder / "metrics.jsonl", metrics);
  cli::draw_held_out_curve(folder / "metrics.jsonl", folder.path());
  CHECK(line_colours(folder / "held_out_curve.svg", "2").size() == 5 + 4 + 3);

  std::vector<cli::NamedMetrics> runs;
  for (int i = 0; i < 11; ++i) runs.push_back({"run " + std::to_string(i), folder / "metrics.jsonl"});
  cli::draw_learning_curves(runs, folder.path());
  CHECK(line_colours(folder / "learning_curves.svg", "2").size() == runs.size());

  std::string rows;
  for (const char* method :
       {"untrained", "random", "pixels", "pca", "kmeans", "vae", "masked_contrastive", "supervised"})
    for (const char* steps : {"1", "100"})
      rows += std::string(rows.empty() ? "" : ",") + "{\"method\":\"" + method +
              "\",\"readout\":\"ridge\",\"accuracy\":0.5,\"ci95\":0.01,\"steps\":" + steps + "}";
  write_bytes(folder / "steps.json",
              "{\"figure\":\"steps\",\"tables\":[{\"dataset\":\"digits\",\"rows\":[" + rows + "]}]}");
  CHECK(cli::plot({folder / "steps.json"}, folder.path()) == 0);
  CHECK(line_colours(folder / "steps.svg", "1.8").size() == 8);
}

TEST_CASE("labels of markers are drawn, whatever is near, and equal ones that meet once") {
  const Folder folder;
  const auto texts = [&](const std::vector<cli::Marker>& markers) {
    cli::LineChart chart;
    chart.title = "T";
    chart.series.push_back({"s", {0, 100}, {0, 1}, cli::palette::blue});
    chart.markers = markers;
    std::vector<std::string> drawn;
    cli::render(folder / "m", 400, 200, "markers", [&](cli::Canvas& canvas) {
      cli::draw_line_chart(canvas, {0, 0, 400, 200}, chart);
      drawn = canvas.texts();
    });
    return drawn;
  };
  const auto count = [](const std::vector<std::string>& drawn, const std::string& text) {
    return std::count(drawn.begin(), drawn.end(), text);
  };
  CHECK(count(texts({{100.0, "a label at the right frame"}}), "a label at the right frame") == 1);
  const auto near = texts({{50.0, "one label"}, {51.0, "another label"}, {52.0, "a third label"}});
  for (const char* label : {"one label", "another label", "a third label"}) CHECK(count(near, label) == 1);
  CHECK(count(texts({{10.0, "resumed"}, {11.0, "resumed"}, {12.0, "resumed"}, {90.0, "resumed"}}),
              "resumed") == 2);
}

TEST_CASE("plot takes a run directory, a JSON, a log or a rule") {
  const Folder folder;
  write_bytes(folder / "metrics.jsonl", sample_metrics());
  CHECK(cli::plot({folder.path()}, folder / "a") == 0);
  CHECK(std::filesystem::exists(folder / "a/learning_curve.svg"));
  CHECK_FALSE(std::filesystem::exists(folder / "a/accuracy.svg"));
  write_bytes(folder / "evaluation.json", kEvaluation);
  CHECK(cli::plot({folder.path()}, folder / "a") == 0);
  CHECK(std::filesystem::exists(folder / "a/accuracy.png"));
  CHECK(cli::plot({folder.path()}, "") == 0);
  CHECK(std::filesystem::exists(folder / "figures/accuracy.pdf"));
  CHECK(cli::plot({folder / "evaluation.json"}, folder / "b") == 0);
  CHECK(std::filesystem::exists(folder / "b/accuracy.png"));
  CHECK(cli::plot({folder / "metrics.jsonl"}, folder / "c") == 0);
  CHECK(std::filesystem::exists(folder / "c/learning_curve.png"));
  auto rule = sample_rule();
  rule.theta[7] = std::numeric_limits<double>::quiet_NaN();
  store::write_rule(folder / "rule.h5", rule);
  CHECK(cli::plot({folder / "rule.h5"}, folder / "d") == 0);
  check_png(folder / "d/theta_norms.png");
  check_svg(folder / "d/theta_norms.svg", {"θ of neuron_local", "top.in", "delta", "no number", "norm"});
}

TEST_CASE("what cannot be drawn is refused with its place") {
  const Folder folder;
  const auto refused = [&](const std::string& name, const std::string& text) {
    write_bytes(folder / name, text);
    return refusal([&] { cli::plot({folder / name}, folder / "out"); });
  };
  CHECK(contains(refused("f.json", "{\"figure\": \"widths\"}"), "f.json: the list tables is missing"));
  CHECK(contains(refused("g.json", "{\"figure\": \"growth\"}"), "g.json: there is no figure 'growth'"));
  CHECK(contains(refused("h.json", "{\"figure\": \"filters\", \"panels\": [{}]}"),
                 "h.json: cannot be drawn as 'filters'"));
  CHECK(contains(refused("i.json", "{\"figure\": \"filters\", \"panels\": []}"), "i.json: no panels"));
  const auto objective = [](const std::string& rest) { return "{\"meta_objective\":1" + rest + "}\n"; };
  CHECK(contains(refused("m.jsonl", sample_metrics() + "nonsense\n" + sample_metrics()),
                 "m.jsonl:42: no JSON object"));
  CHECK(contains(refused("m.jsonl", objective("")), "m.jsonl:1: a line of training without its update"));
  CHECK(contains(refused("m.jsonl", objective(",\"update\":\"x\"")), "m.jsonl:1: update is no number"));
  CHECK(contains(refused("m.jsonl", objective(",\"update\":1,\"gradient_norm\":[]")),
                 "gradient_norm is no number"));
  CHECK(contains(refused("m.jsonl", "{\"event\":\"checkpoint\",\"update\":0}\n"),
                 "no line with a meta-objective"));
  CHECK(contains(refused("m.jsonl", ""), "m.jsonl: cannot be read, or is empty"));

  CHECK(contains(refused("e.json", "{\n\n\"tables\": [\n"), "e.json:4: no JSON"));
  CHECK(contains(refused("e.json", "{}"), "the list tables is missing"));
  CHECK(contains(refused("e.json", "{\"tables\":[]}"), "e.json: no tables"));
  CHECK(contains(refused("e.json", "{\"tables\":[3]}"), "e.json: tables[0]: no object"));
  CHECK(contains(refused("e.json", "{\"tables\":[{\"rows\":[]}]}"), "tables[0]: dataset is missing"));
  CHECK(contains(refused("e.json", "{\"tables\":[{\"dataset\":\"x\",\"rows\":[]}]}"), "tables[0]: no rows"));
  const auto row = [&](const std::string& keys) {
    return refused("e.json",
                   "{\"tables\":[{\"dataset\":\"x\",\"rows\":[{\"method\":\"rule\"" + keys + "}]}]}");
  };
  CHECK(contains(row(""), "tables[0].rows[0]: accuracy is missing"));
  CHECK(contains(row(",\"accuracy\":57.9"), "a fraction between 0 and 1, not 57.9"));
  CHECK(contains(row(",\"accuracy\":\"a\""), "accuracy is no number"));

  CHECK(contains(refused("x.h5", "something else"), "not a file of Outerloop"));
  CHECK(contains(refusal([&] { cli::plot({folder / "none"}, folder / "out"); }), "none: no such file"));
  for (const char* pipe : {"pipe.json", "pipe.jsonl"}) {  // not waited for
    REQUIRE(::mkfifo((folder / pipe).c_str(), 0600) == 0);
    CHECK(contains(refusal([&] { cli::plot({folder / pipe}, folder / "out"); }), "is a pipe or a device"));
  }
  std::filesystem::create_directory(folder / "empty");
  CHECK(contains(refusal([&] { cli::plot({folder / "empty"}, folder / "out"); }), "holds neither"));
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
  write_bytes(folder / "metrics.jsonl", sample_metrics());
  CHECK(contains(refusal([&] { cli::plot({folder / "metrics.jsonl"}, folder / "x.h5/out"); }),
                 "cannot be made"));
}

TEST_CASE("ticks are round and inside their range") {
  using Labels = std::vector<std::string>;
  CHECK(labels(cli::Scale(0, 100, false).ticks(5)) == Labels{"0", "20", "40", "60", "80", "100"});
  CHECK(labels(cli::Scale(0.13, 0.31, false).ticks(4)) == Labels{"0.15", "0.20", "0.25", "0.30"});
  CHECK(labels(cli::Scale(-1, 1, false).ticks(4)) == Labels{"-1.0", "-0.5", "0", "0.5", "1.0"});
  CHECK(labels(cli::Scale(0, 25000, false).ticks(3)) == Labels{"0", "10,000", "20,000"});
  CHECK(labels(cli::Scale(0.9, 3.1, false).ticks(9, 1.0)) == Labels{"1", "2", "3"});
  CHECK(labels(cli::Scale(1e-3, 1e3, true).ticks(6)) ==
        Labels{"0.001", "0.01", "0.1", "1", "10", "100", "1,000"});
  CHECK(labels(cli::Scale(0.15, 1.2, true).ticks(6)) == Labels{"0.2", "0.5", "1"});
  CHECK(labels(cli::Scale(3.1, 3.9, true).ticks(4)).size() >= 2);  // no power of ten inside: linear
  CHECK(cli::Scale(1, 100, true).place(10) == Approx(0.5));
  CHECK(cli::Scale(0, 10, true).logarithmic() == false);
  CHECK(cli::Scale(5, 5, false).place(5) == Approx(0.5));
}
