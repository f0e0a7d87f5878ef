#include "common/data/tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "common/base/sha256.h"
#include "common/data/dice.h"

namespace outerloop::data {
namespace {

constexpr std::int64_t kFewestLatent = 2, kMostLatent = 20;
constexpr std::size_t kMostClusters = 4, kMostInCategory = 6, kMostSteps = 9;
constexpr double kSpread = 0.25;  // of every row, in addition to its cluster's

/// Random numbers of a world (row 0), or of one of its rows.
Dice dice_of(std::uint32_t world, std::uint32_t row) {
  static const std::uint64_t seed = base::stable_hash("tables");
  return Dice(rule::Random(seed, world, row, rule::Purpose::table));
}

/// Nearly exp(u) for |u| below 10.
double exponential(double u) {
  double result = 1.0 + u / 1024.0;
  for (int i = 0; i < 10; ++i) result *= result;
  return result;
}

double squash(double u) { return u / (1.0 + std::abs(u)); }

std::vector<double> normals(std::size_t n, double scale, Dice& dice) {
  std::vector<double> result(n);
  for (double& value : result) value = scale * dice.normal();
  return result;
}

/// y[j] += Σ_i x[i] matrix[i, j]. Rows in the outer loop, so that the sums of many j are in vector registers
/// at once.
void add_product(const std::vector<double>& x, const std::vector<double>& matrix, std::vector<double>& y) {
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < y.size(); ++j) y[j] += x[i] * matrix[i * y.size() + j];
}

struct Cluster {
  double weight = 1.0;
  std::vector<double> centre;  ///< [latent]
  std::vector<double> spread;  ///< S, transposed, [latent, latent]
};

struct TableClass {
  std::int64_t rows = 0;
  std::vector<Cluster> clusters;
};

struct Column {
  ColumnKind kind = ColumnKind::linear;
  double noise = 0.0;      ///< σ
  double threshold = 0.0;  ///< t
  double steps = 1.0;
  double gain = 1.0;    ///< g
  std::size_t end = 0;  ///< of a category: one past its last column
};

struct World {
  std::size_t latent = 0;
  double bend = 0.0;          ///< b
  std::vector<double> bends;  ///< B, transposed, [latent, latent]
  std::vector<TableClass> classes;
  std::vector<Column> columns;
  std::vector<double> loadings;  ///< a_j / (|a_j| σ_h) of every column j, [latent, columns]
};

/// The class's clusters, all within `within` (q) of their class's middle, whose scale is `apart` (r).
TableClass draw_class(std::size_t latent, double apart, double within, Dice& dice) {
  TableClass result;
  result.rows = dice.log_uniform(kFewestRows, kMostRows);
  result.clusters.resize(1 + dice.below(kMostClusters));
  const std::vector<double> middle = normals(latent, apart, dice);
  for (Cluster& cluster : result.clusters) {
    cluster.weight = dice.uniform(0.2, 1.0);
    cluster.centre = normals(latent, apart * within, dice);
    for (std::size_t i = 0; i < latent; ++i) cluster.centre[i] += middle[i];
    const double width = dice.uniform(0.2, 0.8) / std::sqrt(static_cast<double>(latent));
    cluster.spread = normals(latent * latent, width, dice);
  }
  return result;
}

/// Each world has its own shares of the kinds: many worlds have mostly one kind.
std::array<double, kColumnKinds> draw_shares(Dice& dice) {
  std::array<double, kColumnKinds> shares;
  for (double& share : shares) {
    const double u = dice.uniform(0.0, 1.0);
    share = u * u * u;
  }
  return shares;
}

/// Random index with probability proportional to the weights.
template <class Weights>
std::size_t pick(const Weights& weights, Dice& dice) {
  double total = 0.0;
  for (const double weight : weights) total += weight;
  double left = dice.uniform(0.0, total);
  std::size_t place = 0;
  while (place + 1 < weights.size() && left >= weights[place]) left -= weights[place++];
  return place;
}

/// Properties shared by the columns of a world.
struct Sight {
  std::array<double, kColumnKinds> shares;
  double useless = 0.0;    ///< share of uninformative columns
  double density = 1.0;    ///< share of a's entries that are not zero
  double noise = 0.0;      ///< in the logarithm
  double deviation = 1.0;  ///< σ_h, about
};

Column draw_column(const Sight& sight, Dice& dice) {
  Column column;
  column.kind = static_cast<ColumnKind>(pick(sight.shares, dice));
  column.noise = exponential(sight.noise + dice.uniform(-0.7, 0.7));
  column.threshold = column.kind == ColumnKind::binary ? dice.uniform(-1.0, 1.5) : dice.uniform(0.0, 1.8);
  column.steps = static_cast<double>(2 + dice.below(kMostSteps - 1));
  column.gain = exponential(1.5 * dice.normal());
  return column;
}

/// `count` columns; those of a category are adjacent and share a scale.
std::vector<Column> draw_columns(std::size_t count, const Sight& sight, Dice& dice) {
  std::vector<Column> columns;
  std::size_t end = 0;  // of the category being drawn
  for (std::size_t j = 0; j < count; ++j) {
    Column column = draw_column(sight, dice);
    if (j < end) {
      column.kind = ColumnKind::category;
      column.gain = columns.back().gain;
    } else if (column.kind == ColumnKind::category) {
      end = std::min(j + 2 + dice.below(kMostInCategory - 1), count);
    }
    column.end = end;
    columns.push_back(column);
  }
  return columns;
}

/// Of each of the columns. [latent, columns]
std::vector<double> draw_loadings(std::size_t latent, std::size_t columns, const Sight& sight, Dice& dice) {
  std::vector<double> loadings(latent * columns);
  for (std::size_t j = 0; j < columns; ++j) {
    if (dice.chance(sight.useless)) continue;
    double squares = 0.0;
    for (std::size_t i = 0; i < latent; ++i) {
      const double entry = dice.normal();
      if (!dice.chance(sight.density)) continue;
      loadings[i * columns + j] = entry;
      squares += entry * entry;
    }
    const double length = std::sqrt(squares) * sight.deviation;
    for (std::size_t i = 0; i < latent && length > 0.0; ++i) loadings[i * columns + j] /= length;
  }
  return loadings;
}

World draw_world(std::uint32_t number) {
  Dice dice = dice_of(number, 0);
  World world;
  const auto columns = static_cast<std::size_t>(dice.log_uniform(kFewestColumns, kMostColumns));
  world.latent = static_cast<std::size_t>(dice.log_uniform(kFewestLatent, kMostLatent));
  world.bend = dice.uniform(0.0, 1.5);
  world.bends =
      normals(world.latent * world.latent, 1.0 / std::sqrt(static_cast<double>(world.latent)), dice);
  const double apart = dice.uniform(0.4, 1.8), within = dice.uniform(0.0, 1.2);
  for (std::int32_t label = 0; label < kClassesPerWorld; ++label)
    world.classes.push_back(draw_class(world.latent, apart, within, dice));
  Sight sight;
  sight.shares = draw_shares(dice);
  sight.useless = dice.uniform(0.0, 0.4);
  sight.density = dice.uniform(0.2, 1.0);
  sight.noise = dice.uniform(-2.0, 0.8);
  sight.deviation = std::sqrt(apart * apart * (1.0 + within * within) + 0.25 + kSpread * kSpread);
  world.columns = draw_columns(columns, sight, dice);
  world.loadings = draw_loadings(world.latent, columns, sight, dice);
  return world;
}

/// A row's position in the latent space: h, [latent].
std::vector<double> draw_place(const World& world, const TableClass& of, Dice& dice) {
  std::vector<double> weights;
  for (const Cluster& cluster : of.clusters) weights.push_back(cluster.weight);
  const Cluster& cluster = of.clusters[pick(weights, dice)];
  const std::vector<double> within = normals(world.latent, 1.0, dice);
  std::vector<double> z = cluster.centre;
  add_product(within, cluster.spread, z);
  for (double& value : z) value += kSpread * dice.normal();
  std::vector<double> bent(world.latent);
  add_product(z, world.bends, bent);
  for (std::size_t i = 0; i < world.latent; ++i) z[i] += world.bend * squash(bent[i]);
  return z;
}

double warped(const Column& column, double v) {
  switch (column.kind) {
    case ColumnKind::linear:
    case ColumnKind::category:
      return v;
    case ColumnKind::skewed:
      return exponential(1.5 * std::clamp(v, -3.0, 3.0));
    case ColumnKind::two_tailed:
      return v + v * v * v;
    case ColumnKind::bounded:
      return squash(2.0 * v);
    case ColumnKind::binary:
      return v > column.threshold ? 1.0 : 0.0;
    case ColumnKind::sparse:
      return std::max(0.0, v - column.threshold);
    case ColumnKind::stepped:
      return std::floor(v * column.steps);
  }
  return v;
}

/// In each category the largest becomes 1, the others 0.
void choose_categories(const std::vector<Column>& columns, double* x) {
  for (std::size_t first = 0; first < columns.size(); ++first) {
    if (columns[first].kind != ColumnKind::category) continue;
    const std::size_t end = columns[first].end;
    const auto largest = static_cast<std::size_t>(std::max_element(x + first, x + end) - x);
    for (std::size_t j = first; j < end; ++j) x[j] = j == largest ? 1.0 : 0.0;
    first = end - 1;
  }
}

void draw_row(const World& world, const TableClass& of, Dice dice, double* x) {
  std::vector<double> v(world.columns.size());
  add_product(draw_place(world, of, dice), world.loadings, v);
  for (std::size_t j = 0; j < v.size(); ++j)
    x[j] = warped(world.columns[j], v[j] + world.columns[j].noise * dice.normal());
  choose_categories(world.columns, x);
  for (std::size_t j = 0; j < v.size(); ++j) x[j] *= world.columns[j].gain;
}

}  // namespace

TableWorld make_world(std::uint32_t number) {
  const World world = draw_world(number);
  TableWorld result;
  for (const Column& column : world.columns) result.kinds.push_back(column.kind);
  for (std::int32_t label = 0; label < kClassesPerWorld; ++label)
    result.labels.insert(result.labels.end(),
                         static_cast<std::size_t>(world.classes[static_cast<std::size_t>(label)].rows),
                         label);
  result.values.resize(result.labels.size() * world.columns.size());
  for (std::size_t row = 0; row < result.labels.size(); ++row)
    draw_row(world, world.classes[static_cast<std::size_t>(result.labels[row])],
             dice_of(number, static_cast<std::uint32_t>(row + 1)),
             result.values.data() + row * world.columns.size());
  return result;
}

WorkingSet make_tables() {
  WorkingSet set;
  for (std::uint32_t number = 0; number < kTableWorlds; ++number) {
    const TableWorld world = make_world(number);
    const std::string name = "table " + std::to_string(number);
    const auto first = static_cast<std::int32_t>(set.class_names.size());
    set.inputs = std::max(set.inputs, world.columns());
    set.groups.push_back({name, world.columns()});
    set.group_of_class.insert(set.group_of_class.end(), kClassesPerWorld, static_cast<std::int32_t>(number));
    for (std::int32_t label = 0; label < kClassesPerWorld; ++label)
      set.class_names.push_back(name + "/" + std::to_string(label));
    for (const std::int32_t label : world.labels) set.labels.push_back(first + label);
    set.values.insert(set.values.end(), world.values.begin(), world.values.end());
  }
  return set;
}

}  // namespace outerloop::data
