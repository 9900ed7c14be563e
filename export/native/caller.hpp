// How inferences are made on a session one after another, so that nothing but they is timed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "session.hpp"

namespace edgesft {

/// Nanoseconds of a clock that never goes back.
inline std::int64_t now_ns() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

/// When an inference began and ended, in nanoseconds.
struct Times {
    std::int64_t began = 0, ended = 0;

    std::int64_t ns() const { return ended - began; }
};

/// Values of the states; shared, for two inferences hold them.
using States = std::shared_ptr<const Feeds>;

/// A binding that keeps what is bound from one inference to the next, its outputs' memory included.
class Slot {
  public:
    explicit Slot(const Session& session) : session_(session), ort_(session.ort) {
        OrtIoBinding* made = nullptr;
        ort_.check(ort_->CreateIoBinding(session.get(), &made));
        binding_ = {made, ort_->ReleaseIoBinding};
        // The size of an output that is not fixed may depend on the data, as that of NonMaxSuppression does.
        for (const Port& port : session.outputs) fixed_ = fixed_ && port.fixed;
    }

    OrtIoBinding* get() const { return binding_.get(); }

    /// So that the next `bind` copies the inputs again.
    void forget() { feeds_ = nullptr; }

    /// Binds what is not the same object as before.
    void bind(const Feeds& feeds, const States& states) {
        bool other_feeds = &feeds != feeds_, other_states = states != states_;
        if (other_feeds) {
            for (const Feed& feed : feeds) {
                if (!holds(states, feed.name)) ort_.check(ort_->BindInput(get(), feed.name.c_str(), feed.value.get()));
            }
        }
        if (other_states && states) {
            for (const Feed& state : *states) ort_.check(ort_->BindInput(get(), state.name.c_str(), state.value.get()));
        }
        if (other_feeds || other_states || !fixed_) bind_outputs(feeds, states);
        feeds_ = &feeds;
        states_ = states;
    }

    /// Values of the states after an inference: the same object as long as the outputs keep their memory.
    States carried(const Texts& feedback) {
        if (kept_) return kept_;
        std::size_t count = 0;
        OrtValue** made = nullptr;
        ort_.check(ort_->GetBoundOutputValues(get(), ort_.allocator, &made, &count));
        std::vector<Value> values;
        for (std::size_t index = 0; index < count; ++index) values.push_back(value_of(ort_, made[index]));
        ort_.check(ort_->AllocatorFree(ort_.allocator, made));
        auto states = std::make_shared<Feeds>();
        for (std::size_t index = 0; index < count; ++index) {
            const std::string& output = session_.outputs[index].name;
            ort_.check(ort_->BindOutput(get(), output.c_str(), values[index].get()));
            for (const auto& [input, source] : feedback) {
                if (source != output) continue;
                states->push_back({input, values[index], form_of(ort_, values[index].get()).second});
            }
        }
        return kept_ = states;
    }

  private:
    static bool holds(const States& states, const std::string& name) {
        auto same = [&](const Feed& state) { return state.name == name; };
        return states && std::any_of(states->begin(), states->end(), same);
    }

    void bind_outputs(const Feeds& feeds, const States& states) {
        std::vector<std::vector<std::int64_t>> shapes;
        for (const Feed& feed : feeds) shapes.push_back(feed.shape);
        for (std::size_t place = 0; states && place < states->size(); ++place) shapes.push_back((*states)[place].shape);
        if (fixed_ && bound_ && shapes == shapes_) return;
        // Memory of other sizes would be refused.
        ort_->ClearBoundOutputs(get());
        for (const Port& port : session_.outputs) {
            ort_.check(ort_->BindOutputToDevice(get(), port.name.c_str(), ort_.memory()));
        }
        shapes_ = std::move(shapes);
        bound_ = true;
        kept_ = nullptr;
    }

    const Session& session_;
    const Runtime& ort_;
    Owned<OrtIoBinding> binding_{nullptr, nullptr};
    bool fixed_ = true, bound_ = false;
    const Feeds* feeds_ = nullptr;
    States states_, kept_;
    std::vector<std::vector<std::int64_t>> shapes_;
};

/// Makes inferences one after another on a session, feeding states back.
class Caller {
  public:
    /// A caller whose states are those of its first request.
    Caller(const Session& session, const Texts& feedback)
        : ort_(session.ort), session_(session), feedback_(feedback), copies_(session.origin.asked() != CPU) {
        // With states, what one inference writes the next one reads, and each writes to memory of its own.
        slots_.push_back(std::make_unique<Slot>(session));
        if (!feedback.empty()) slots_.push_back(std::make_unique<Slot>(session));
    }

    /// One inference: when it began and when its outputs were there.
    Times operator()(const Feeds& feeds) {
        Slot& slot = *slots_.front();
        Times times;
        // Binding is where the runtime copies inputs to another memory, which the device must do, too.
        if (copies_) {
            slot.forget();
            times.began = now_ns();
            slot.bind(feeds, states_);
        } else {
            slot.bind(feeds, states_);
            times.began = now_ns();
        }
        ort_.check(ort_->RunWithBinding(session_.get(), nullptr, slot.get()));
        times.ended = now_ns();
        if (!feedback_.empty()) {
            states_ = slot.carried(feedback_);
            std::swap(slots_.front(), slots_.back());
        }
        return times;
    }

  private:
    const Runtime& ort_;
    const Session& session_;
    Texts feedback_;
    bool copies_;
    std::vector<std::unique_ptr<Slot>> slots_;
    States states_;
};

}  // namespace edgesft
