// What the processor's packages take: Linux's power capping interface over Intel's and AMD's RAPL.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "machine.hpp"

namespace edgesft {

/// Microjoules that a package has taken, and where its counter starts again.
struct Energy {
    std::int64_t used, limit;
};

/// A reading of each package; nothing where there is none or one cannot be read.
///
/// Zones within a package (cores, memory) are parts of it and are left out.
inline std::optional<std::vector<Energy>> energy_counters(const fs::path& root = "/") {
    std::vector<Energy> found;
    for (const fs::path& zone : numbered(root / "sys/class/powercap", "intel-rapl:")) {
        if (text_of(zone / "name").value_or("").rfind("package", 0) != 0) continue;
        auto used = number_of(zone / "energy_uj"), limit = number_of(zone / "max_energy_range_uj");
        if (!used || !limit) return std::nullopt;
        found.push_back({*used, *limit});
    }
    return found.empty() ? std::nullopt : std::optional(found);
}

/// Microjoules between two readings, each counter having started again at most once; null where either lacks.
inline Json energy_between(const std::optional<std::vector<Energy>>& before,
                           const std::optional<std::vector<Energy>>& after) {
    if (!before || !after || before->size() != after->size()) return nullptr;
    std::int64_t sum = 0;
    for (std::size_t place = 0; place < before->size(); ++place) {
        std::int64_t more = (*after)[place].used - (*before)[place].used;
        sum += more >= 0 ? more : more + (*before)[place].limit + 1;
    }
    return sum;
}

}  // namespace edgesft
