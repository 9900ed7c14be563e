// Tokens of texts by a `tokenizer.json` of a BERT, the same as the library tokenizers gives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "normaliser.hpp"
#include "wordpiece.hpp"

namespace edgesft {

/// Tokens of a text, or of one that special tokens were put around.
struct Tokens {
    std::vector<std::int64_t> ids, types;
    /// The characters of its text that each covers: the first, and the one behind the last; -1 for a special token.
    std::vector<std::pair<int, int>> covered;
    /// Which word of a list each is of, and which text; -1 for a special token, or where the text is no list.
    std::vector<int> words, sequences;

    std::size_t size() const { return ids.size(); }

    void add(std::int64_t id, std::int64_t type, std::pair<int, int> places, int word, int sequence) {
        ids.push_back(id);
        types.push_back(type);
        covered.push_back(places);
        words.push_back(word);
        sequences.push_back(sequence);
    }

    void add(const Tokens& other, std::size_t start, std::size_t end, std::int64_t type, int sequence) {
        for (std::size_t place = start; place < end; ++place) {
            add(other.ids[place], type, other.covered[place], other.words[place], sequence);
        }
    }
};

/// How long what comes out may be.
struct Cut {
    std::size_t length, stride;
    bool left;
};

class Tokenizer {
  public:
    /// Throws Broken where it has a part that this kit does not know.
    ///
    /// Args:
    ///     split_special_tokens: Whether the name of a special token within a text is plain text.
    Tokenizer(const Json& json, bool split_special_tokens)
        : normalise_(json.find("normalizer")), pieces_(part(json, "model")) {
        Fields parts("pre_tokenizer", part(json, "pre_tokenizer"));
        if (parts.text("type") != "BertPreTokenizer") {
            throw Broken("tokenizer.json: pre_tokenizer must be BertPreTokenizer, got " + parts.text("type"));
        }
        for (const Json& each : Fields("tokenizer.json", json).list("added_tokens")) {
            Fields said("added_tokens", each);
            if (said.text("content").empty() || (split_special_tokens && said.flag("special"))) continue;
            if (said.flag("normalized") || said.flag("single_word")) {
                throw Broken("tokenizer.json: added tokens must be found as they are, got " + each.text());
            }
            Named named{characters_of(said.text("content")), said.whole("id", 0), said.flag("lstrip"), said.flag("rstrip")};
            names_.push_back(std::move(named));
        }
        // Of several that begin at one place, the longest.
        std::sort(names_.begin(), names_.end(),
                  [](const Named& one, const Named& other) { return one.name.size() > other.name.size(); });
        read_template(part(json, "post_processor"));
    }

    Tokens encode(const std::string& text, const Cut& cut) const { return single(tokens(text), cut); }

    /// The same of a list of words; each token knows its word.
    Tokens encode(const std::vector<std::string>& words, const Cut& cut) const {
        Tokens found;
        for (std::size_t place = 0; place < words.size(); ++place) {
            Tokens part = tokens(words[place]);
            std::fill(part.words.begin(), part.words.end(), static_cast<int>(place));
            found.add(part, 0, part.size(), 0, 0);
        }
        return single(found, cut);
    }

    /// Tokens of two texts; the second one in as many windows as it takes.
    std::vector<Tokens> windows(const std::string& first, const std::string& second, const Cut& cut) const {
        Tokens one = tokens(first), other = tokens(second);
        std::size_t taken = added(pair_) + one.size(), room = cut.length > taken ? cut.length - taken : 0;
        if (room <= cut.stride) {
            throw BadInput("the first text must leave more than " + std::to_string(cut.stride) +
                           " tokens for the second, got " + std::to_string(room));
        }
        std::vector<Tokens> found;
        std::size_t count = other.size(), start = 0;
        for (bool more = true; more; start += room - cut.stride) {
            std::size_t end = std::min(start + room, count);
            more = end < count;
            std::size_t from = cut.left ? count - end : start, to = cut.left ? count - start : end;
            Tokens part;
            part.add(other, from, to, 0, 0);
            found.push_back(around(pair_, {&one, &part}, !found.empty()));
        }
        return found;
    }

  private:
    struct Named {
        std::u32string name;
        std::int64_t id;
        bool strips_left, strips_right;
    };

    /// Special tokens, or where the tokens of a text go.
    struct Place {
        std::vector<std::int64_t> ids;
        int sequence;
        std::int64_t type;
    };

    using Places = std::vector<Place>;

    static const Json& part(const Json& json, const char* name) {
        const Json* found = json.find(name);
        if (!found || !found->as<Json::Map>()) throw Broken(std::string("tokenizer.json: must have a ") + name);
        return *found;
    }

    static std::size_t added(const Places& places) {
        std::size_t count = 0;
        for (const Place& place : places) count += place.ids.size();
        return count;
    }

    void read_template(const Json& json) {
        Fields said("post_processor", json);
        std::string kind = said.text("type");
        bool roberta = kind == "RobertaProcessing";
        if (kind == "TemplateProcessing") {
            single_ = places(said, "single");
            pair_ = places(said, "pair");
            resets_ = true;
        } else if (roberta || kind == "BertProcessing") {
            auto special = [&](const char* name, std::int64_t type) {
                const Json::List& found = said.list(name);
                if (found.size() != 2 || !found[1].as<std::int64_t>()) refuse(name, "a token and its number", said.find(name));
                return Place{{*found[1].as<std::int64_t>()}, -1, type};
            };
            single_ = {special("cls", 0), {{}, 0, 0}, special("sep", 0)};
            pair_ = single_;
            if (roberta) pair_.push_back(special("sep", 0));
            pair_.push_back({{}, 1, roberta ? 0 : 1});
            pair_.push_back(special("sep", roberta ? 0 : 1));
        } else {
            throw Broken("tokenizer.json: post_processor must be a template, got " + kind);
        }
    }

    static Places places(const Fields& said, const char* name) {
        Places found;
        Fields specials = said.object("special_tokens");
        for (const Json& each : said.list(name)) {
            Fields one(name, each);
            if (const Json* text = one.find("Sequence")) {
                Fields own("Sequence", *text);
                found.push_back({{}, own.text("id") == "B" ? 1 : 0, own.whole("type_id", 0)});
            } else {
                Fields own = one.object("SpecialToken");
                std::string id = own.text("id");
                found.push_back({specials.object(id).wholes("ids"), -1, own.whole("type_id", 0)});
            }
        }
        return found;
    }

    Tokens single(const Tokens& text, const Cut& cut) const {
        std::size_t special = added(single_), count = text.size();
        if (cut.length < special) {
            throw BadInput("max_length must be at least " + std::to_string(special) + ", the special tokens");
        }
        std::size_t kept = std::min(count, cut.length - special);
        Tokens part;
        part.add(text, cut.left ? count - kept : 0, cut.left ? count : kept, 0, 0);
        return around(single_, {&part}, false);
    }

    /// Args:
    ///     later: Whether it is a window after the first: there the library leaves the types of a template's texts
    ///         as they were before, by their place.
    Tokens around(const Places& all, const std::vector<const Tokens*>& texts, bool later) const {
        Tokens found;
        for (const Place& place : all) {
            for (std::int64_t id : place.ids) found.add(id, place.type, {-1, -1}, -1, -1);
            if (place.sequence < 0) continue;
            const Tokens& text = *texts[static_cast<std::size_t>(place.sequence)];
            found.add(text, 0, text.size(), later && resets_ ? place.sequence : place.type, place.sequence);
        }
        return found;
    }

    Tokens tokens(const std::string& given) const {
        Text text;
        for (char32_t letter : characters_of(given)) text.add(letter, static_cast<int>(text.letters.size()));
        Tokens found;
        std::size_t done = 0;
        for (std::size_t at = 0; at < text.letters.size();) {
            const Named* named = at_place(text.letters, at);
            if (!named) {
                ++at;
                continue;
            }
            const Kind& space = Characters::known().space;
            std::size_t start = at, end = at + named->name.size();
            while (named->strips_left && start > done && space.has(text.letters[start - 1])) --start;
            while (named->strips_right && end < text.letters.size() && space.has(text.letters[end])) ++end;
            plain(text.cut(done, start), found);
            found.add(named->id, 0, {static_cast<int>(start), static_cast<int>(end)}, -1, 0);
            at = done = end;
        }
        plain(text.cut(done, text.letters.size()), found);
        return found;
    }

    const Named* at_place(const std::u32string& letters, std::size_t at) const {
        for (const Named& each : names_) {
            if (letters.compare(at, each.name.size(), each.name) == 0) return &each;
        }
        return nullptr;
    }

    /// Tokens of what has no special ones in it.
    void plain(const Text& given, Tokens& found) const {
        const Characters& known = Characters::known();
        Text text = normalise_(given);
        for (std::size_t at = 0; at < text.letters.size();) {
            std::size_t start = at;
            auto is = [&](const Kind& kind) { return kind.has(text.letters[at]); };
            if (is(known.space)) {
                ++at;
                continue;
            }
            if (is(known.punctuation)) {
                ++at;
            } else {
                while (at < text.letters.size() && !is(known.space) && !is(known.punctuation)) ++at;
            }
            for (const Token& token : pieces_(text.letters.substr(start, at - start))) {
                std::pair<int, int> places = {text.origins[start + token.start], text.origins[start + token.end - 1] + 1};
                found.add(token.id, 0, places, -1, 0);
            }
        }
    }

    Normaliser normalise_;
    WordPiece pieces_;
    std::vector<Named> names_;
    Places single_, pair_;
    bool resets_ = false;
};

}  // namespace edgesft
