// Where the patterns of a `tokenizer.json` find something.
#pragma once

#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "fields.hpp"
#include "pattern_reader.hpp"

namespace edgesft {

/// Where something is found: its first character, and the one behind the last.
struct Span {
    std::size_t start, end;
};

class Pattern {
  public:
    /// What `pattern` says: a text as it is (`String`), or a regular expression (`Regex`).
    ///
    /// Throws Broken where it is one that this kit does not read.
    explicit Pattern(const Fields& said) {
        if (said.given("Regex")) {
            steps_ = PatternReader(said.text("Regex")).read();
            return;
        }
        for (char32_t letter : characters_of(said.text("String"))) {
            steps_.push_back({PatternStep::TAKE});
            steps_.back().kind.add(letter, letter);
        }
        steps_.push_back({PatternStep::END});
    }

    explicit Pattern(const char* regex) : steps_(PatternReader(regex).read()) {}

    /// All that is found, one behind the other, but for what is empty.
    std::vector<Span> all(std::u32string_view text) const {
        std::vector<Span> found;
        for (std::size_t at = 0; at < text.size();) {
            std::optional<std::size_t> end = match(0, text, at);
            if (end && *end > at) found.push_back({at, *end});
            at = end && *end > at ? *end : at + 1;
        }
        return found;
    }

  private:
    /// Where what is taken from a place on ends; nothing where the steps do not fit.
    std::optional<std::size_t> match(std::size_t step, std::u32string_view text, std::size_t at) const {
        std::vector<std::pair<std::size_t, std::size_t>> waiting;  // other ways: a step, and a place
        auto away = [&](std::ptrdiff_t steps) { return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(step) + steps); };
        for (;;) {
            const PatternStep& now = steps_[step];
            bool fits = true;
            switch (now.does) {
                case PatternStep::END: return at;
                case PatternStep::JUMP: step = away(now.one); break;
                case PatternStep::FORK:
                    waiting.emplace_back(away(now.other), at);
                    step = away(now.one);
                    break;
                case PatternStep::AHEAD:
                    fits = match(step + 1, text, at).has_value() != now.negated;
                    step = away(now.one);
                    break;
                case PatternStep::TAKE:
                    fits = at < text.size() && now.kind.has(text[at]);
                    ++at, ++step;
            }
            if (fits) continue;
            if (waiting.empty()) return std::nullopt;
            std::tie(step, at) = waiting.back();
            waiting.pop_back();
        }
    }

    PatternSteps steps_;
};

}  // namespace edgesft
