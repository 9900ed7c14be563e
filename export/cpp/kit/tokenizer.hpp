// Tokens of texts by a `tokenizer.json`, the same as the library tokenizers gives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "names.hpp"
#include "normaliser.hpp"
#include "pairs.hpp"
#include "splitter.hpp"
#include "template.hpp"
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
        : normalise_(json.find("normalizer")),
          split_(json.find("pre_tokenizer")),
          lookup_(lookup_of(part(json, "model"), split_.of_bytes)),
          template_(json.find("post_processor")) {
        for (const Json& each : Fields("tokenizer.json", json).list("added_tokens")) {
            Fields said("added_tokens", each);
            if (split_special_tokens && said.flag("special")) continue;
            bool late = said.flag("normalized");
            Text name(said.text("content"));
            if (late) name = normalise_(name);
            Named named{name.letters, said.whole("id", 0), said.flag("lstrip"), said.flag("rstrip"), said.flag("single_word")};
            (late ? late_ : raw_).add(std::move(named));
        }
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

    /// The numbers of a text's tokens without special ones around them.
    std::vector<std::int64_t> plain(const std::string& text) const { return tokens(text).ids; }

    /// Tokens of two texts; the second one in as many windows as it takes.
    std::vector<Tokens> windows(const std::string& first, const std::string& second, const Cut& cut) const {
        Tokens one = tokens(first), other = tokens(second);
        std::size_t taken = added(template_.pair) + one.size(), room = cut.length > taken ? cut.length - taken : 0;
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
            found.push_back(around(template_.pair, {&one, &part}, !found.empty()));
        }
        return found;
    }

  private:
    using Lookup = std::function<std::vector<Token>(const std::u32string&)>;

    static const Json& part(const Json& json, const char* name) {
        const Json* found = json.find(name);
        if (!found || !found->as<Json::Map>()) throw Broken(std::string("tokenizer.json: must have a ") + name);
        return *found;
    }

    static Lookup lookup_of(const Json& model, bool of_bytes) {
        Fields said("model", model);
        std::string kind = said.given("type") ? said.text("type") : said.given("merges") ? "BPE" : "WordPiece";
        if (kind == "BPE") return Pairs(said, of_bytes);
        if (kind == "WordPiece") return WordPiece(said);
        throw Broken("tokenizer.json: model must be one of WordPiece, BPE, got " + kind);
    }

    Tokens single(const Tokens& text, const Cut& cut) const {
        std::size_t special = added(template_.single), count = text.size();
        if (cut.length < special) {
            throw BadInput("max_length must be at least " + std::to_string(special) + ", the special tokens");
        }
        std::size_t kept = std::min(count, cut.length - special);
        Tokens part;
        part.add(text, cut.left ? count - kept : 0, cut.left ? count : kept, 0, 0);
        return around(template_.single, {&part}, false);
    }

    /// Args:
    ///     later: Whether it is a window after the first.
    Tokens around(const Places& all, const std::vector<const Tokens*>& texts, bool later) const {
        Tokens found;
        for (const Place& place : all) {
            for (std::int64_t id : place.ids) found.add(id, place.type, {-1, -1}, -1, -1);
            if (place.sequence < 0) continue;
            const Tokens& text = *texts[static_cast<std::size_t>(place.sequence)];
            found.add(text, 0, text.size(), later && template_.resets ? place.sequence : place.type, place.sequence);
        }
        return found;
    }

    Tokens tokens(const std::string& given) const {
        Tokens found;
        auto whole = [&](const Text& text, std::int64_t id) { found.add(id, 0, span(text, 0, text.letters.size()), -1, 0); };
        for (const auto& [piece, id] : raw_.parted(Text(given))) {
            if (id) {
                whole(piece, *id);
                continue;
            }
            for (const auto& [part, own] : late_.parted(normalise_(piece))) {
                if (own) whole(part, *own);
                else plain(part, found);
            }
        }
        return found;
    }

    /// Tokens of what has no added ones in it.
    void plain(const Text& text, Tokens& found) const {
        for (const Text& word : split_(text)) {
            for (const Token& token : lookup_(word.letters)) found.add(token.id, 0, covered(word, token), -1, 0);
        }
    }

    std::pair<int, int> covered(const Text& word, const Token& token) const {
        std::size_t start = token.start, end = token.end;
        while (template_.trims && start < end && word.letters[start] == U' ') ++start;
        while (template_.trims && start < end && word.letters[end - 1] == U' ') --end;
        if (start < end) return span(word, start, end);
        int behind = word.origins[token.end - 1] + 1;
        return {behind, behind};
    }

    /// The characters of the given text that some of a normalised one came from.
    static std::pair<int, int> span(const Text& text, std::size_t start, std::size_t end) {
        return {text.origins[start], text.origins[end - 1] + 1};
    }

    Normaliser normalise_;
    Splitter split_;
    Lookup lookup_;
    Template template_;
    Names raw_, late_;
};

}  // namespace edgesft
