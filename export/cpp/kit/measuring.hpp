// Latency of a bundle's model alone, in the agent's answers (export/PROTOCOL.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "alone.hpp"
#include "writer.hpp"

namespace edgesft {

/// How a model is measured; the names are those of the agent's command line.
struct Measuring {
    std::int64_t samples = 300, rounds = 20;
    double seconds = 5.0, warmup_seconds = 5.0;
    /// Tokens of an answer, of a model that writes.
    std::int64_t most = MOST;
};

/// Writes latency of a model that answers token by token: of each round the time from a prompt to its first token
/// (`opening`), and those of the tokens after it (`time`), chosen as an application chooses them.
class WriterMeasuring {
  public:
    /// Args:
    ///     agent: Which has told what it loaded.
    ///     writer: Of that.
    ///     prompts: At least one.
    WriterMeasuring(Agent& agent, const Writer& writer, std::vector<Ids> prompts, const Measuring& how,
                    const Write& write)
        : agent_(agent), writer_(writer), prompts_(std::move(prompts)), how_(how), write_(write) {}

    /// Throws BadInput where no prompt leaves room for two tokens.
    void operator()() {
        auto short_of_room = [&](const Ids& prompt) { return writer_.generation.room(prompt.size()) < 2; };
        prompts_.erase(std::remove_if(prompts_.begin(), prompts_.end(), short_of_room), prompts_.end());
        if (prompts_.empty()) throw BadInput("a prompt must leave room for two tokens to be measured, got none that does");
        write_({{"op", "first"}, {"ns", writer_.pace(prompts_[prompts_.size() / 2], 1).at(0)}});
        warm_up();
        for (std::int64_t round = 0; round < how_.rounds; ++round) take_round();
        for (const char* op : {"memory", "state"}) write_(ask(agent_, op, Json::Map()));
    }

  private:
    static std::int64_t sum(const Numbers& all) { return std::accumulate(all.begin(), all.end(), std::int64_t{0}); }

    void warm_up() {
        std::int64_t all = 0;
        auto take = [&](std::int64_t count) {
            Numbers taken;
            while (static_cast<std::int64_t>(taken.size()) < count) {
                Numbers more = writer_.pace(next(), std::max<std::int64_t>(2, how_.most));
                taken.insert(taken.end(), more.begin(), more.end());
            }
            all += static_cast<std::int64_t>(taken.size());
            return taken;
        };
        Warmth found = edgesft::warm_up(take, how_.warmup_seconds);
        write_({{"op", "warm_up"}, {"samples", all}, {"stable", found.stable}, {"typical_ns", found.typical_ns}});
    }

    void take_round() {
        auto rounds = static_cast<double>(how_.rounds);
        Numbers first, steps;
        while (static_cast<double>(steps.size()) < static_cast<double>(how_.samples) / rounds ||
               static_cast<double>(sum(first) + sum(steps)) < how_.seconds * 1e9 / rounds) {
            Numbers times = writer_.pace(next(), std::max<std::int64_t>(2, how_.most));
            first.push_back(times.at(0));
            steps.insert(steps.end(), times.begin() + 1, times.end());
        }
        write_({{"op", "opening"}, {"ns", first}});
        // What was used was used for both.
        write_({{"op", "time"}, {"ns", steps}, {"energy_uj", nullptr}});
    }

    const Ids& next() { return prompts_[turn_++ % prompts_.size()]; }

    Agent& agent_;
    const Writer& writer_;
    std::vector<Ids> prompts_;
    const Measuring& how_;
    const Write& write_;
    std::size_t turn_ = 0;
};

}  // namespace edgesft
