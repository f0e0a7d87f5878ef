#pragma once
// The dataset `tables`: computed random mixtures, in worlds that each have columns and classes of their own,
// as if each were somebody's file. A task comes from one world.
//
// A row of class y takes one of the class's 1 to 4 clusters k, by weights of their own, and has a place in L
// dimensions (L is log-uniform, 2 to 20); n are fresh normal numbers, all else is of the world:
//
//   z   = r (m_y + q m_yk) + S_yk n + n / 4       class, cluster within the class, spread within the cluster
//   h   = z + b s(B z),  s(u) = u / (1 + |u|)     bent
//   v_j = a_j h / (|a_j| σ_h) + σ_j n             seen by column j: variance about 1, and noise
//   x_j = g_j w_j(v_j)                            warped, on a scale of its own
//
// r, q, b, the shares of the kinds of columns, how many entries of a_j are zero and how much noise there is
// differ from world to world, cluster numbers, spreads and numbers of rows from class to class. Some a_j are
// zero throughout: columns that say nothing.
//
// Every machine has the same bits: sums, products, quotients and square roots alone make the numbers
// (dice.h), E(u) = (1 + u / 1024)^1024 stands for exp(u), and of log-uniform numbers only the whole part is
// taken.
#include <cstdint>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

constexpr std::uint32_t kTableWorlds = 100;
constexpr std::int32_t kClassesPerWorld = 20;
constexpr std::int64_t kFewestColumns = 8, kMostColumns = 200;
/// Of a class, log-uniform: enough for 30 labelled examples in each of a task's two labelled minibatches.
constexpr std::int64_t kFewestRows = 64, kMostRows = 256;

/// w of a column; t is its threshold.
enum class ColumnKind : std::uint8_t {
  linear,      ///< v
  skewed,      ///< E(1.5 v), v within -3 .. 3: many small numbers, few large ones
  two_tailed,  ///< v + v^3: heavy tails
  bounded,     ///< s(2 v)
  binary,      ///< 0 or 1: v > t
  sparse,      ///< max(0, v - t): mostly 0
  stepped,     ///< v in 2 to 9 steps for each unit of it, whole numbers
  category,    ///< one of 2 to 6 neighbouring columns is 1, that of the largest v; the others are 0
};
constexpr std::size_t kColumnKinds = 8;

/// The rows of one world, class by class.
struct TableWorld {
  std::vector<ColumnKind> kinds;     ///< [columns], 8 to 200, log-uniform
  std::vector<std::int32_t> labels;  ///< [rows], 0 .. kClassesPerWorld - 1
  std::vector<double> values;        ///< [rows, columns]

  std::int64_t columns() const { return static_cast<std::int64_t>(kinds.size()); }
};

/// World `number`, of any number: each is a pure function of it.
TableWorld make_world(std::uint32_t number);

/// kTableWorlds worlds, each a group of the set ("table 7") with the classes "table 7/0" and so on.
WorkingSet make_tables();

}  // namespace outerloop::data
