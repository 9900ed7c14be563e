// Unicode's canonical forms (Annex 15), as the library tokenizers has them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kinds.hpp"
#include "text.hpp"

namespace edgesft {

/// Syllables of Hangul are made and taken apart by a formula (The Unicode Standard, section 3.12).
namespace hangul {
constexpr char32_t SYLLABLES = 0xAC00, LEADS = 0x1100, VOWELS = 0x1161, TAILS = 0x11A7;
constexpr char32_t LEAD_COUNT = 19, VOWEL_COUNT = 21, TAIL_COUNT = 28, COUNT = LEAD_COUNT * VOWEL_COUNT * TAIL_COUNT;
}  // namespace hangul

/// What a character is taken apart into; itself where it is one piece.
inline std::u32string apart_of(char32_t letter) {
    if (letter - hangul::SYLLABLES < hangul::COUNT) {
        char32_t index = letter - hangul::SYLLABLES, tail = index % hangul::TAIL_COUNT;
        std::u32string parts = {hangul::LEADS + index / (hangul::VOWEL_COUNT * hangul::TAIL_COUNT),
                                hangul::VOWELS + index / hangul::TAIL_COUNT % hangul::VOWEL_COUNT};
        if (tail) parts += hangul::TAILS + tail;
        return parts;
    }
    auto found = Characters::known().apart.find(letter);
    return found == Characters::known().apart.end() ? std::u32string(1, letter) : found->second;
}

/// The canonical decomposition, its marks in their order.
inline Text decomposed(const Text& text) {
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
        for (char32_t part : apart_of(text.letters[place])) {
            int own = known.class_of(part);
            if (own) {
                waiting.push_back({own, {part, text.origins[place]}});
            } else {
                flush();
                found.add(part, text.origins[place]);
            }
        }
    }
    flush();
    return found;
}

/// Makes one character of two.
class Composer {
  public:
    static const Composer& known() {
        static const Composer all;
        return all;
    }

    /// The character that both make; 0 where they make none.
    char32_t operator()(char32_t one, char32_t other) const {
        using namespace hangul;
        if (one - LEADS < LEAD_COUNT && other - VOWELS < VOWEL_COUNT) {
            return SYLLABLES + ((one - LEADS) * VOWEL_COUNT + other - VOWELS) * TAIL_COUNT;
        }
        bool open = one - SYLLABLES < COUNT && (one - SYLLABLES) % TAIL_COUNT == 0;
        if (open && other > TAILS && other < TAILS + TAIL_COUNT) return one + other - TAILS;
        auto found = pairs_.find(key(one, other));
        return found == pairs_.end() ? 0 : found->second;
    }

  private:
    Composer() {
        const Characters& all = Characters::known();
        // A character is made of what all its parts but the last make, and the last; so the shorter ones come first.
        for (std::size_t size = 2; size <= 4; ++size) {
            for (const auto& [letter, parts] : all.apart) {
                if (parts.size() != size || !all.composed.has(letter)) continue;
                char32_t first = parts[0];
                for (std::size_t place = 1; place + 1 < size && first; ++place) first = (*this)(first, parts[place]);
                if (first) pairs_[key(first, parts.back())] = letter;
            }
        }
    }

    static std::uint64_t key(char32_t one, char32_t other) { return static_cast<std::uint64_t>(one) << 32 | other; }

    std::unordered_map<std::uint64_t, char32_t> pairs_;
};

/// The canonical composition; what is made of several covers what the first did.
inline Text composed(const Text& text) {
    Text parts = decomposed(text), found;
    std::size_t starter = 0;
    bool begun = false;
    int before = 0;  // the class of what stands between the starter and here; 0 where that is nothing
    for (std::size_t place = 0; place < parts.letters.size(); ++place) {
        char32_t letter = parts.letters[place];
        int own = Characters::known().class_of(letter);
        char32_t made = begun && (before < own || !before) ? Composer::known()(found.letters[starter], letter) : 0;
        if (made) {
            found.letters[starter] = made;
            continue;
        }
        if (!own) starter = found.letters.size(), begun = true;
        before = own;
        found.add(letter, parts.origins[place]);
    }
    return found;
}

}  // namespace edgesft
