// How a tokenizer parts a text into words, of which each is looked up by itself.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "fields.hpp"
#include "pattern.hpp"
#include "text.hpp"

namespace edgesft {

using Split = std::function<std::vector<Text>(const Text&)>;

/// A piece of a text, and whether a pattern found it.
struct Found {
    std::size_t start, end;
    bool found;
};

/// All of a text: what a pattern finds, and what lies between.
inline std::vector<Found> pieces_at(const Pattern& pattern, const std::u32string& letters) {
    std::vector<Found> all;
    std::size_t done = 0;
    for (const Span& span : pattern.all(letters)) {
        if (done < span.start) all.push_back({done, span.start, false});
        all.push_back({span.start, span.end, true});
        done = span.end;
    }
    if (done < letters.size()) all.push_back({done, letters.size(), false});
    return all;
}

/// Words of pieces: what was found is gone, a word of its own, or part of a neighbour.
inline std::vector<Text> merged(const Text& text, const std::vector<Found>& pieces, const std::string& behaviour) {
    std::vector<Text> words;
    auto word = [&](std::size_t start, std::size_t end) {
        if (start < end) words.push_back(text.cut(start, end));
    };
    bool isolated = behaviour == "Isolated", previous = behaviour == "MergedWithPrevious", next = behaviour == "MergedWithNext";
    std::size_t begin = 0;
    for (const Found& piece : pieces) {
        if (isolated || (behaviour == "Removed" && !piece.found)) word(piece.start, piece.end);
        // What was found ends a word, or begins one.
        if (previous && piece.found) word(begin, piece.end), begin = piece.end;
        if (next && piece.found) word(begin, piece.start), begin = piece.start;
    }
    if (previous || next) word(begin, text.letters.size());
    return words;
}

/// A tokenizer's `pre_tokenizer`.
class Splitter {
  public:
    /// Throws Broken where this kit does not know it.
    explicit Splitter(const Json* json) {
        split_ = json && !json->is_null() ? made(Fields("pre_tokenizer", *json))
                                          : [](const Text& text) { return std::vector<Text>(!text.letters.empty(), text); };
    }

    std::vector<Text> operator()(const Text& text) const { return split_(text); }

    /// Whether it makes bytes of words, for which letters then stand in the vocabulary.
    bool of_bytes = false;

  private:
    /// GPT-2's words (Radford et al. 2019).
    static constexpr const char* GPT2 =
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

    Split made(const Fields& said) {
        std::string kind = said.text("type");
        if (kind == "BertPreTokenizer") return bert;
        if (kind == "WhitespaceSplit") return at_pattern(Pattern(R"(\s+)"), "Removed", false);
        if (kind == "ByteLevel") return bytes(said);
        if (kind == "Metaspace") return metaspace(said);
        if (kind == "Digits") return digits(said);
        if (kind == "Split") return at_pattern(Pattern(said.object("pattern")), said.text("behavior"), said.flag("invert"));
        if (kind != "Sequence") {
            throw Broken("tokenizer.json: pre_tokenizer must be one of BertPreTokenizer, WhitespaceSplit, ByteLevel, Digits, "
                         "Metaspace, Split, Sequence, got " + kind);
        }
        std::vector<Split> steps;
        for (const Json& each : said.list("pretokenizers")) steps.push_back(made(Fields("pretokenizers", each)));
        return [steps](const Text& text) {
            std::vector<Text> pieces = {text};
            for (const Split& step : steps) {
                std::vector<Text> words;
                for (const Text& piece : pieces) {
                    for (Text& word : step(piece)) words.push_back(std::move(word));
                }
                pieces = std::move(words);
            }
            return pieces;
        };
    }

    /// Words between blanks, and each mark of punctuation by itself.
    static std::vector<Text> bert(const Text& text) {
        const Characters& known = Characters::known();
        const std::u32string& letters = text.letters;
        std::vector<Text> words;
        for (std::size_t at = 0; at < letters.size();) {
            std::size_t start = at++;
            if (known.space.has(letters[start])) continue;
            if (!known.punctuation.has(letters[start])) {
                while (at < letters.size() && !known.space.has(letters[at]) && !known.punctuation.has(letters[at])) ++at;
            }
            words.push_back(text.cut(start, at));
        }
        return words;
    }

    static Split at_pattern(const Pattern& pattern, const std::string& behaviour, bool inverted) {
        std::vector<std::string> known = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext"};
        if (std::find(known.begin(), known.end(), behaviour) == known.end()) {
            throw Broken("tokenizer.json: pre_tokenizer Split must not have the behavior " + behaviour);
        }
        return [pattern, behaviour, inverted](const Text& text) {
            std::vector<Found> pieces = pieces_at(pattern, text.letters);
            for (Found& piece : pieces) piece.found = piece.found != inverted;
            return merged(text, pieces, behaviour);
        };
    }

    /// Numbers apart from all else, or each of their digits.
    static Split digits(const Fields& said) {
        return at_pattern(Pattern(said.flag("individual_digits") ? R"(\p{N})" : R"(\p{N}+)"), "Isolated", false);
    }

    /// GPT-2's words, or the whole text where the pattern is not asked for; perhaps with a space before the first.
    Split bytes(const Fields& said) {
        of_bytes = true;
        bool spaced = said.flag("add_prefix_space"), parted = !said.given("use_regex") || said.flag("use_regex");
        Split split = [](const Text& text) { return std::vector<Text>{text}; };
        if (parted) split = at_pattern(Pattern(GPT2), "Isolated", false);
        return [spaced, split](const Text& text) {
            if (!spaced || text.letters.empty() || text.letters[0] == U' ') return split(text);
            Text whole;
            whole.add(U' ', text.origins[0] - 1);
            whole.add(text, 0, text.letters.size());
            return split(whole);
        };
    }

    /// SentencePiece's words, each of which begins with a letter that stands for a blank.
    static Split metaspace(const Fields& said) {
        std::u32string mark = characters_of(said.text("replacement"));
        if (mark.size() != 1) throw Broken("tokenizer.json: pre_tokenizer Metaspace must have a letter as replacement");
        std::string scheme = said.given("prepend_scheme") ? said.text("prepend_scheme") : "always";
        bool parted = !said.given("split") || said.flag("split");
        return [mark, scheme, parted](const Text& given) {
            Text text = given;
            for (char32_t& letter : text.letters) letter = letter == U' ' ? mark[0] : letter;
            bool first = !text.origins.empty() && text.origins[0] == 0;
            bool put = scheme == "always" || (scheme == "first" && first);
            if (put && !text.letters.empty() && text.letters[0] != mark[0]) text = text.prepended(mark);
            if (!parted) return std::vector<Text>(!text.letters.empty(), text);
            std::vector<Found> pieces;
            for (std::size_t at = 0; at < text.letters.size(); ++at) pieces.push_back({at, at + 1, text.letters[at] == mark[0]});
            return merged(text, pieces, "MergedWithNext");
        };
    }

    Split split_;
};

}  // namespace edgesft
