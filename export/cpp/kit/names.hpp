// Tokens that are found by their name before anything else is made of a text: special ones, and added ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kinds.hpp"
#include "text.hpp"

namespace edgesft {

/// A token by its name.
struct Named {
    std::u32string name;
    std::int64_t id;
    bool strips_left, strips_right, word;
};

class Names {
  public:
    void add(Named named) {
        if (named.name.empty()) return;
        names_.push_back(std::move(named));
        // Of several that begin at one place, the longest.
        std::stable_sort(names_.begin(), names_.end(),
                         [](const Named& one, const Named& other) { return one.name.size() > other.name.size(); });
    }

    /// Pieces of a text; each with its token's number, or nothing for what lies between.
    std::vector<std::pair<Text, std::optional<std::int64_t>>> parted(const Text& text) const {
        const std::u32string& letters = text.letters;
        std::vector<std::pair<Text, std::optional<std::int64_t>>> found;
        std::size_t done = 0;
        for (std::size_t at = 0; at < letters.size();) {
            const Named* named = at_place(letters, at);
            std::size_t start = at, end = at + (named ? named->name.size() : 1);
            at = end;
            if (!named || (named->word && is_inside(letters, start, end))) continue;
            const Kind& space = Characters::known().space;
            while (named->strips_left && start > done && space.has(letters[start - 1])) --start;
            while (named->strips_right && end < letters.size() && space.has(letters[end])) ++end;
            if (start > done) found.emplace_back(text.cut(done, start), std::nullopt);
            found.emplace_back(text.cut(start, end), named->id);
            at = done = end;
        }
        if (done < letters.size()) found.emplace_back(text.cut(done, letters.size()), std::nullopt);
        return found;
    }

  private:
    const Named* at_place(const std::u32string& letters, std::size_t at) const {
        for (const Named& each : names_) {
            if (letters.compare(at, each.name.size(), each.name) == 0) return &each;
        }
        return nullptr;
    }

    /// Whether letters of a word stand beside it.
    static bool is_inside(const std::u32string& letters, std::size_t start, std::size_t end) {
        static const Kind of_words = [] {
            Kind found = category("L");
            found.add(category("N"));
            found.add(U'_', U'_');
            return found;
        }();
        return (start > 0 && of_words.has(letters[start - 1])) || (end < letters.size() && of_words.has(letters[end]));
    }

    std::vector<Named> names_;
};

}  // namespace edgesft
