// Series of timed inferences: one after another, at a fixed rate, several at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "caller.hpp"

namespace edgesft {

using Numbers = std::vector<std::int64_t>;

/// Inferences that give the first idea of how long one takes.
constexpr std::int64_t PROBE = 3;

/// Blocks that the longest warm-up is cut into.
constexpr std::int64_t WARMUP_BLOCKS = 20;

/// The warm-up ends when the medians of this many successive blocks agree.
constexpr std::size_t STABLE_BLOCKS = 3;

/// Medians agree when the highest is within this share of the lowest.
constexpr double STABLE_SHARE = 0.02;

/// Before an inference is due the runner sleeps, but for this last bit: threads wake late by about so much.
constexpr std::int64_t SPIN_NS = 100'000;

/// What a series takes: the requests, and their numbers in the order in which they are taken.
struct Order {
    const std::vector<Feeds>& requests;
    Numbers turns;

    const Feeds& operator[](std::size_t place) const { return requests[static_cast<std::size_t>(turns[place])]; }
    std::size_t size() const { return turns.size(); }
};

inline std::int64_t median(Numbers values) {
    std::sort(values.begin(), values.end());
    std::size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Nanoseconds of inferences one by one.
inline Numbers one_by_one(Caller& call, const Order& order) {
    Numbers samples;
    samples.reserve(order.size());
    for (std::size_t place = 0; place < order.size(); ++place) samples.push_back(call(order[place]).ns());
    return samples;
}

struct Paced {
    Numbers waited, served;
};

/// Nanoseconds of inferences that become due at a fixed rate, as a camera's frames do.
///
/// One that has to wait for the one before it counts from the moment it was due. That this process woke a little late
/// counts for nothing: only queueing is the model's own doing.
inline Paced paced(Caller& call, const Order& order, std::int64_t interval_ns) {
    Paced found;
    std::int64_t due = now_ns(), ended = due;
    for (std::size_t place = 0; place < order.size(); ++place, due += interval_ns) {
        bool queued = ended > due;
        for (std::int64_t left; (left = due - now_ns()) > 0;) {
            if (left > SPIN_NS) std::this_thread::sleep_for(std::chrono::nanoseconds(left - SPIN_NS));
        }
        Times times = call(order[place]);
        ended = times.ended;
        found.served.push_back(times.ns());
        found.waited.push_back(ended - (queued ? due : times.began));
    }
    return found;
}

struct Flight {
    Numbers samples;
    std::int64_t wall_ns;
};

/// Nanoseconds of inferences of which as many are in flight as there are callers, each of a session of its own.
inline Flight flight(std::vector<std::unique_ptr<Caller>>& callers, const Order& order) {
    for (auto& call : callers) (*call)(order[0]);
    std::atomic<std::size_t> turn{0};
    std::vector<Times> marks(order.size());
    std::exception_ptr failure;
    std::mutex failing;
    auto work = [&](Caller& call) {
        try {
            for (std::size_t place; (place = turn++) < order.size();) marks[place] = call(order[place]);
        } catch (...) {  // what a thread throws would end the process
            std::lock_guard<std::mutex> lock(failing);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> workers;
    for (auto& call : callers) workers.emplace_back(work, std::ref(*call));
    for (std::thread& worker : workers) worker.join();
    if (failure) std::rethrow_exception(failure);
    Flight found{{}, 0};
    std::int64_t first = marks[0].began, last = marks[0].ended;
    for (const Times& times : marks) {
        found.samples.push_back(times.ns());
        first = std::min(first, times.began);
        last = std::max(last, times.ended);
    }
    found.wall_ns = last - first;
    return found;
}

struct Warmth {
    std::int64_t samples;
    bool stable;
    std::int64_t typical_ns;
};

/// Runs blocks of the same requests until their medians agree, or the time is up.
///
/// Args:
///     take: Nanoseconds of a block of so many inferences.
inline Warmth warm_up(const std::function<Numbers(std::int64_t)>& take, double seconds) {
    std::int64_t typical = median(take(PROBE));
    auto limit_ns = static_cast<std::int64_t>(seconds * 1e9);
    std::int64_t block = std::max(PROBE, limit_ns / WARMUP_BLOCKS / std::max<std::int64_t>(1, typical));
    Warmth found{PROBE, false, typical};
    Numbers medians;
    for (std::int64_t spent_ns = 0; spent_ns < limit_ns && !found.stable; found.samples += block) {
        Numbers taken = take(block);
        spent_ns += std::max<std::int64_t>(1, std::accumulate(taken.begin(), taken.end(), std::int64_t{0}));
        medians.push_back(found.typical_ns = median(taken));
        if (medians.size() < STABLE_BLOCKS) continue;
        auto [low, high] = std::minmax_element(medians.end() - STABLE_BLOCKS, medians.end());
        found.stable = static_cast<double>(*high) <= (1 + STABLE_SHARE) * static_cast<double>(*low);
    }
    return found;
}

}  // namespace edgesft
