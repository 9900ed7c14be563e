// What a BERT's tokenizer does to a text before it parts it; each character knows where it comes from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "characters.hpp"
#include "errors.hpp"
#include "fields.hpp"

namespace edgesft {

/// A text as far as it was normalised, and for each character the place of the one in the given text it came from.
struct Text {
    std::u32string letters;
    std::vector<int> origins;

    void add(char32_t letter, int origin) {
        letters += letter;
        origins.push_back(origin);
    }

    Text cut(std::size_t start, std::size_t end) const {
        auto first = origins.begin();
        return {letters.substr(start, end - start),
                {first + static_cast<std::ptrdiff_t>(start), first + static_cast<std::ptrdiff_t>(end)}};
    }
};

/// Words of `characters`, each parted into its numbers.
inline std::vector<std::vector<char32_t>> numbers_in(const char* told) {
    std::vector<std::vector<char32_t>> found(1);
    for (const char* at = told; *at;) {
        char* end = nullptr;
        found.back().push_back(static_cast<char32_t>(std::strtoul(at, &end, 16)));
        if (*end == ' ') found.emplace_back();
        at = end + 1;
    }
    found.pop_back();  // behind the last blank is nothing
    return found;
}

/// Characters of a kind.
class Kind {
  public:
    explicit Kind(const char* ranges) : ranges_(numbers_in(ranges)) {}

    bool has(char32_t letter) const {
        auto after = std::upper_bound(ranges_.begin(), ranges_.end(), letter,
                                      [](char32_t wanted, const auto& range) { return wanted < range[0]; });
        return after != ranges_.begin() && letter <= (*--after)[1];
    }

  private:
    std::vector<std::vector<char32_t>> ranges_;
};

/// All that is known of characters.
struct Characters {
    Kind blank{characters::BLANK}, space{characters::SPACE}, removed{characters::REMOVED}, marks{characters::MARKS},
        punctuation{characters::PUNCTUATION}, han{characters::HAN}, ordered{characters::ORDERED};
    std::unordered_map<char32_t, std::u32string> lower, plain;
    std::unordered_map<char32_t, int> order;

    Characters() {
        for (const auto& run : numbers_in(characters::LOWER)) {
            // First, last, step, and the lower case of the first.
            for (char32_t letter = run[0]; letter <= run[1]; letter += run[2]) {
                lower[letter] = std::u32string(run.begin() + 3, run.end());
                lower[letter][0] += letter - run[0];
            }
        }
        for (const auto& each : numbers_in(characters::PLAIN)) plain[each[0]] = {each.begin() + 1, each.end()};
        for (const auto& each : numbers_in(characters::ORDER)) order[each[0]] = static_cast<int>(each[1]);
    }

    static const Characters& known() {
        static const Characters all;
        return all;
    }
};

/// The steps of `BertNormalizer`.
class Normaliser {
  public:
    /// Throws Broken where the tokenizer has another one.
    explicit Normaliser(const Json* json) {
        if (!json || json->is_null()) return;
        Fields said("normalizer", *json);
        if (said.text("type") != "BertNormalizer") {
            throw Broken("tokenizer.json: normalizer must be BertNormalizer, got " + said.text("type"));
        }
        clean_ = said.flag("clean_text");
        han_ = said.flag("handle_chinese_chars");
        lower_ = said.flag("lowercase");
        strip_ = said.given("strip_accents") ? said.flag("strip_accents") : lower_;
    }

    Text operator()(const Text& text) const {
        const Characters& known = Characters::known();
        Text spaced;
        for (std::size_t place = 0; place < text.letters.size(); ++place) {
            char32_t letter = text.letters[place];
            int origin = text.origins[place];
            if (clean_ && known.blank.has(letter)) letter = U' ';
            if (clean_ && letter != U' ' && known.removed.has(letter)) continue;
            bool apart = han_ && known.han.has(letter);
            if (apart) spaced.add(U' ', origin);
            spaced.add(letter, origin);
            if (apart) spaced.add(U' ', origin);
        }
        Text stripped = strip_ ? without_marks(spaced) : std::move(spaced);
        if (!lower_) return stripped;
        Text found;
        for (std::size_t place = 0; place < stripped.letters.size(); ++place) {
            auto lower = known.lower.find(stripped.letters[place]);
            std::u32string letters(1, stripped.letters[place]);
            for (char32_t letter : lower == known.lower.end() ? letters : lower->second) {
                found.add(letter, stripped.origins[place]);
            }
        }
        return found;
    }

  private:
    /// The canonical decomposition, in its order, without marks.
    static Text without_marks(const Text& text) {
        const Characters& known = Characters::known();
        Text found;
        std::vector<std::pair<int, std::pair<char32_t, int>>> waiting;
        auto flush = [&] {
            auto earlier = [](const auto& one, const auto& other) { return one.first < other.first; };
            std::stable_sort(waiting.begin(), waiting.end(), earlier);
            for (const auto& each : waiting) found.add(each.second.first, each.second.second);
            waiting.clear();
        };
        for (std::size_t place = 0; place < text.letters.size(); ++place) {
            char32_t letter = text.letters[place];
            if (letter < 0x80) {
                flush();
                found.add(letter, text.origins[place]);
            } else if (known.marks.has(letter)) {
                // What is of no class parts those that are.
                if (!known.ordered.has(letter)) flush();
            } else {
                for (char32_t part : apart(letter)) {
                    auto own = known.order.find(part);
                    if (own == known.order.end()) flush();
                    if (own == known.order.end()) found.add(part, text.origins[place]);
                    if (own != known.order.end()) waiting.push_back({own->second, {part, text.origins[place]}});
                }
            }
        }
        flush();
        return found;
    }

    static std::u32string apart(char32_t letter) {
        // Syllables of Hangul by their formula (The Unicode Standard, section 3.12).
        if (letter >= 0xAC00 && letter < 0xD7A4) {
            char32_t index = letter - 0xAC00, last = index % 28;
            std::u32string parts = {0x1100 + index / 588, 0x1161 + index % 588 / 28};
            if (last) parts += static_cast<char32_t>(0x11A7 + last);
            return parts;
        }
        auto found = Characters::known().plain.find(letter);
        return found == Characters::known().plain.end() ? std::u32string(1, letter) : found->second;
    }

    bool clean_ = false, han_ = false, strip_ = false, lower_ = false;
};

}  // namespace edgesft
