// A text as far as it was changed; each character knows where it comes from.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "unicode.hpp"

namespace edgesft {

/// Its characters, and for each the place of the one in the given text that it came from.
struct Text {
    std::u32string letters;
    std::vector<int> origins;

    Text() = default;
    Text(std::u32string letters, std::vector<int> origins) : letters(std::move(letters)), origins(std::move(origins)) {}

    /// As it was given.
    explicit Text(const std::string& given) : letters(characters_of(given)) {
        for (std::size_t place = 0; place < letters.size(); ++place) origins.push_back(static_cast<int>(place));
    }

    void add(char32_t letter, int origin) {
        letters += letter;
        origins.push_back(origin);
    }

    /// Letters that all come from one place.
    void add(const std::u32string& more, int origin) {
        letters += more;
        origins.insert(origins.end(), more.size(), origin);
    }

    void add(const Text& other, std::size_t start, std::size_t end) {
        for (std::size_t place = start; place < end; ++place) add(other.letters[place], other.origins[place]);
    }

    Text cut(std::size_t start, std::size_t end) const {
        auto first = origins.begin();
        return {letters.substr(start, end - start),
                {first + static_cast<std::ptrdiff_t>(start), first + static_cast<std::ptrdiff_t>(end)}};
    }

    /// Behind letters that cover what its first one does; one without letters stays as it is.
    Text prepended(const std::u32string& before) const {
        if (letters.empty()) return *this;
        Text found;
        found.add(before, origins[0]);
        found.add(*this, 0, letters.size());
        return found;
    }
};

}  // namespace edgesft
