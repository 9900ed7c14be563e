// Prompts and conversations → the tokens that ask for an answer, by the contract's `turns` (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "blanks.hpp"
#include "request.hpp"
#include "tokenizer.hpp"

namespace edgesft {

constexpr std::size_t UNCUT = std::numeric_limits<std::size_t>::max();

/// A text that asks for something. Throws BadInput where it is none.
inline const std::string& words_in(const Json* value) {
    const std::string* text = value ? value->as<std::string>() : nullptr;
    if (!text) throw BadInput("a prompt must hold words, got " + shown(value));
    if (trimmed(*text).empty()) throw BadInput("a prompt must hold words, got none");
    return *text;
}

/// Who says what.
struct Message {
    std::string role, content;
};

/// The conversation of a row. Throws BadInput where nothing is asked.
inline std::vector<Message> messages_of(const Json& row) {
    if (const Json* said = row.find("messages")) {
        const Json::List* list = said->as<Json::List>();
        auto object = [](const Json& each) { return each.as<Json::Map>() != nullptr; };
        if (!list || list->empty() || !std::all_of(list->begin(), list->end(), object)) {
            throw BadInput("messages must be a list of objects with role and content, got " + shown(said));
        }
        std::vector<Message> found;
        for (const Json& each : *list) {
            const Json* role = each.find("role");
            const std::string* name = role ? role->as<std::string>() : nullptr;
            found.push_back({name ? *name : shown(role), words_in(each.find("content"))});
        }
        return found;
    }
    if (!row.find("prompt")) {
        std::string names;
        for (const auto& member : *row.as<Json::Map>()) names += (names.empty() ? "" : ", ") + member.first;
        throw BadInput("a row must have 'prompt' or 'messages', got " + (names.empty() ? "nothing" : names));
    }
    std::string asked;
    for (const char* name : {"prompt", "context"}) {
        const Json* part = row.find(name);
        if (!part || part->is_null()) continue;
        std::string text = part->as<std::string>() ? *part->as<std::string>() : part->text();
        if (!trimmed(text).empty()) asked += (asked.empty() ? "" : "\n\n") + text;
    }
    Json whole(asked);
    std::vector<Message> found;
    const Json* system = row.find("system");
    bool before = system && !system->is_null() && !(system->as<std::string>() && system->as<std::string>()->empty());
    if (before) found.push_back({"system", words_in(system)});
    found.push_back({"user", words_in(&whole)});
    return found;
}

class Turns {
  public:
    /// Args:
    ///     tokenizer: Of the bundle; it must outlive this.
    ///     said: The contract's `preparation`.
    ///     stop: Tokens that end an answer.
    Turns(const Tokenizer& tokenizer, const Fields& said, std::vector<std::int64_t> stop)
        : tokenizer_(tokenizer), said_(said), stop_(std::move(stop)) {
        for (std::int64_t token : tokenizer.encode(std::string(), {UNCUT, 0, false}).ids) {
            if (!stops(token)) begin_.push_back(token);
        }
    }

    /// The tokens of a row: `messages`, or `prompt` and what stands beside it, or a `text` that is to go on.
    ///
    /// Throws BadInput where nothing is asked, or the template has no such turns.
    std::vector<std::int64_t> operator()(const Json& row) const {
        std::vector<std::int64_t> found;
        if (!row.as<Json::Map>()) throw BadInput("a row must be an object, got " + shown(&row));
        if (const Json* text = row.find("text")) {
            found = tokenizer_.plain(words_in(text));
        } else {
            for (const Part& part : parts(messages_of(row))) {
                std::vector<std::int64_t> own = tokenizer_.plain(part.text);
                bool stopped = std::any_of(own.begin(), own.end(), [&](std::int64_t token) { return stops(token); });
                // An answer ends where it would have stopped.
                if (part.answer && !stop_.empty() && !stopped) own.push_back(stop_[0]);
                found.insert(found.end(), own.begin(), own.end());
            }
        }
        bool begun = !begin_.empty() && found.size() >= begin_.size() && std::equal(begin_.begin(), begin_.end(), found.begin());
        if (!begun) found.insert(found.begin(), begin_.begin(), begin_.end());
        return found;
    }

  private:
    static constexpr const char* ASSISTANT = "assistant";

    /// A piece that is encoded by itself.
    struct Part {
        std::string text;
        bool answer;
    };

    bool stops(std::int64_t token) const { return std::find(stop_.begin(), stop_.end(), token) != stop_.end(); }

    /// A conversation up to where an answer begins, cut where answers begin and end.
    std::vector<Part> parts(const std::vector<Message>& said) const {
        if (!said_.given("turns")) {
            throw Broken("contract.json: preparation.turns must be there, got none: this template is no table");
        }
        if (said.back().role == ASSISTANT) throw BadInput("messages must end with one that is not the assistant's, got its own");
        std::vector<std::string> trims = said_.given("trimmed") ? said_.words("trimmed") : std::vector<std::string>();
        std::vector<Part> found;
        std::string text, before = "start";
        for (const Message& each : said) {
            bool trim = std::find(trims.begin(), trims.end(), each.role) != trims.end();
            std::string words = trim ? trimmed(each.content) : each.content, between = join(before, each.role);
            // What ends an answer was written with it.
            text += before == ASSISTANT ? tail(between, join(ASSISTANT, "end")) : between;
            if (each.role == ASSISTANT) {
                std::string asked = join(before, "asked"), rest = tail(between, asked);
                found.push_back({text.substr(0, text.size() - rest.size()), false});
                found.push_back({rest + words + join(ASSISTANT, "end"), true});
                text.clear();
            } else {
                text += words;
            }
            before = each.role;
        }
        found.push_back({text + join(before, "asked"), false});
        return found;
    }

    /// What of a text stands behind its beginning. Throws Broken where it is shorter: a table has none such.
    static std::string tail(const std::string& text, const std::string& begin) {
        if (text.compare(0, begin.size(), begin) != 0) {
            throw Broken("contract.json: preparation.turns must begin as what is asked, or ended, does; got '" + text + "' for '" +
                         begin + "'");
        }
        return text.substr(begin.size());
    }

    std::string join(const std::string& before, const std::string& after) const {
        const Json* from = said_.object("turns").find(before);
        const Json* found = from ? from->find(after) : nullptr;
        if (!found || !found->as<std::string>()) {
            throw BadInput("messages must take turns that the template has, got " + after + " after " + before);
        }
        return *found->as<std::string>();
    }

    const Tokenizer& tokenizer_;
    Fields said_;
    std::vector<std::int64_t> stop_, begin_;
};

}  // namespace edgesft
