// Answers token by token (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caller.hpp"
#include "course.hpp"
#include "detokenizer.hpp"

namespace edgesft {

/// Tokens of an answer where nobody says how many it may have.
constexpr std::int64_t MOST = 128;

/// An answer.
struct Said {
    std::string text;
    /// Without the one that ended it.
    Ids tokens;
    /// `stop`, where it was complete; `length`, where it was as long as asked; `cache`, where the model can remember no
    /// more; `cancelled`, where who was told had enough.
    const char* end;
    /// Tokens of what was asked.
    std::size_t prompt;
    /// From the prompt to the first token, and of each after that.
    std::int64_t first_ns;
    std::vector<std::int64_t> step_ns;

    Json json() const {
        return Json::Map{{"text", text},     {"tokens", tokens},     {"end", end},
                         {"prompt", prompt}, {"first_ns", first_ns}, {"step_ns", step_ns}};
    }

    /// Of the tokens after the first; nothing where there was but one.
    std::optional<double> tokens_per_second() const {
        auto all = static_cast<double>(std::accumulate(step_ns.begin(), step_ns.end(), std::int64_t{0}));
        return step_ns.empty() ? std::nullopt : std::optional(static_cast<double>(step_ns.size()) / all * 1e9);
    }
};

/// Hears what each token adds to the text, which may be nothing yet; false ends the answer there.
using Told = std::function<bool(const std::string&)>;

/// Tells what a text has more than before.
class Teller {
  public:
    explicit Teller(const Told& told) : told_(told) {}

    /// False where who hears it had enough.
    bool operator()(const std::string& text) {
        // What is half a character yet comes with the next token.
        bool half = text.size() >= NOTHING.size() && std::string_view(text).substr(text.size() - NOTHING.size()) == NOTHING;
        return told_(half ? std::string() : more(text));
    }

    /// What was held back comes at the end as it is.
    void end(const std::string& text) {
        std::string rest = more(text);
        if (!rest.empty()) told_(rest);
    }

  private:
    std::string more(const std::string& text) {
        if (text.compare(0, shown_.size(), shown_) != 0) return "";
        std::string found = text.substr(shown_.size());
        shown_ = text;
        return found;
    }

    const Told& told_;
    std::string shown_;
};

/// A model that answers token by token, with what makes text of tokens.
class Writer {
  public:
    Writer(Generation generation, std::shared_ptr<const Detokenizer> words)
        : generation(std::move(generation)), words_(std::move(words)) {}

    /// What follows a prompt.
    ///
    /// Args:
    ///     prompt: At least one token.
    ///     most: Tokens at most: a model may never stop.
    ///
    /// Throws:
    ///     BadInput: The prompt is empty, or more than the model can remember.
    Said say(const Ids& prompt, std::int64_t most, const Sampling& how, const Told& told) const {
        check(prompt, most);
        Chooser choose(how);
        Course course(generation, prompt);
        Teller tell(told);
        std::int64_t room = generation.room(prompt.size());
        std::vector<std::int64_t> times;
        Said said{"", {}, most > room ? "cache" : "length", prompt.size(), 0, {}};
        while (static_cast<std::int64_t>(said.tokens.size()) < std::min(most, room)) {
            std::int64_t began = now_ns();
            std::int64_t token = choose(course.scores(said.tokens.empty() ? 0 : said.tokens.back()));
            times.push_back(now_ns() - began);
            if (generation.stops(token)) {
                said.end = "stop";
                break;
            }
            said.tokens.push_back(token);
            said.text = (*words_)(said.tokens);
            if (tell(said.text)) continue;
            said.end = "cancelled";
            break;
        }
        if (said.end != std::string_view("cancelled")) tell.end(said.text);
        said.first_ns = times.at(0);
        said.step_ns.assign(times.begin() + 1, times.end());
        return said;
    }

    /// Nanoseconds of each of so many tokens, or of as many as the model can remember; none ends the answer.
    std::vector<std::int64_t> pace(const Ids& prompt, std::int64_t most) const {
        most = std::min(most, generation.room(prompt.size()));
        Course course(generation, prompt);
        std::vector<std::int64_t> times;
        for (std::int64_t token = 0; static_cast<std::int64_t>(times.size()) < most;) {
            std::int64_t began = now_ns();
            token = static_cast<std::int64_t>(likeliest(course.scores(token)));
            times.push_back(now_ns() - began);
        }
        return times;
    }

    const Generation generation;

  private:
    void check(const Ids& prompt, std::int64_t most) const {
        if (prompt.empty()) throw BadInput("a prompt must hold at least one token, got none");
        if (most < 1) throw BadInput("max_tokens must be at least 1, got " + std::to_string(most));
        if (generation.room(prompt.size()) < 1) {
            throw BadInput("a prompt must be at most " + std::to_string(*generation.positions) +
                           " tokens, all that this model can remember, got " + std::to_string(prompt.size()));
        }
    }

    std::shared_ptr<const Detokenizer> words_;
};

}  // namespace edgesft
