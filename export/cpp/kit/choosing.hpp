// The next token of scores: the likeliest, or one by chance, the same as the kits in other languages choose.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "chance.hpp"
#include "errors.hpp"

namespace edgesft {

/// How each token is chosen.
struct Sampling {
    /// Scores are divided by it; 0 takes the likeliest token, whatever else is said.
    double temperature = 0.0;
    /// Only so many of the likeliest tokens are drawn from; 0 is all.
    std::int64_t top_k = 0;
    /// Only the likeliest tokens are drawn from that have this share of the probability together.
    double top_p = 1.0;
    /// The same one draws the same tokens.
    std::uint64_t seed = 0;
};

using Scores = std::vector<float>;

/// The first of the greatest.
inline std::size_t likeliest(const Scores& scores) {
    return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

class Chooser {
  public:
    /// Throws BadInput where the settings are out of their bounds.
    explicit Chooser(const Sampling& how) : how_(how), chance_(how.seed) {
        if (how.temperature >= 0 && how.top_k >= 0 && how.top_p > 0 && how.top_p <= 1) return;
        char got[160];
        std::snprintf(got, sizeof got, "temperature %g, top_k %lld, top_p %g", how.temperature, static_cast<long long>(how.top_k),
                      how.top_p);
        throw BadInput(std::string("temperature and top_k must be at least 0, top_p above 0 and at most 1, got ") + got);
    }

    /// The next token. Scores are before softmax, and none is NaN.
    std::int64_t operator()(const Scores& scores) {
        if (how_.temperature == 0.0) return static_cast<std::int64_t>(likeliest(scores));
        std::vector<std::size_t> order = drawn(scores);
        std::vector<double> shares;
        double greatest = static_cast<double>(scores[order[0]]);
        for (std::size_t place : order) {
            shares.push_back(std::exp((static_cast<double>(scores[place]) - greatest) / how_.temperature));
        }
        double all = std::accumulate(shares.begin(), shares.end(), 0.0), reached = 0.0;
        std::size_t kept = 0;
        // As many as reach the share, the one that crosses it included.
        while (kept < shares.size() && reached < how_.top_p) reached += shares[kept++] / all;
        double mark = chance_.next() * std::accumulate(shares.begin(), shares.begin() + static_cast<std::ptrdiff_t>(kept), 0.0);
        double sum = 0.0;
        for (std::size_t place = 0; place < kept; ++place) {
            if ((sum += shares[place]) > mark) return static_cast<std::int64_t>(order[place]);
        }
        return static_cast<std::int64_t>(order[kept - 1]);
    }

  private:
    /// Tokens that may be drawn, the likeliest first, of equal ones the first.
    std::vector<std::size_t> drawn(const Scores& scores) const {
        std::vector<std::size_t> order(scores.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        auto before = [&](std::size_t one, std::size_t other) {
            return scores[one] > scores[other] || (scores[one] == scores[other] && one < other);
        };
        std::size_t kept = how_.top_k ? std::min(order.size(), static_cast<std::size_t>(how_.top_k)) : order.size();
        std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(), before);
        order.resize(kept);
        return order;
    }

    Sampling how_;
    Chance chance_;
};

}  // namespace edgesft
