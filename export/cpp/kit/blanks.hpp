// Blanks as Python has them (str.isspace), by which texts are trimmed and split as in training.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kinds.hpp"
#include "unicode.hpp"

namespace edgesft {

/// Whether a letter is blank: what separates records is, too.
inline bool is_blank(char32_t letter) { return Characters::known().space.has(letter) || (letter >= 0x1C && letter <= 0x1F); }

/// A text without the blanks around it.
inline std::string trimmed(const std::string& text) {
    std::u32string letters = characters_of(text);
    std::size_t start = 0, end = letters.size();
    while (start < end && is_blank(letters[start])) ++start;
    while (end > start && is_blank(letters[end - 1])) --end;
    return utf8_of(std::u32string_view(letters).substr(start, end - start));
}

/// What stands between the blanks of a text.
inline std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> words;
    std::u32string word;
    for (char32_t letter : characters_of(text) + U' ') {
        if (!is_blank(letter)) {
            word += letter;
        } else if (!word.empty()) {
            words.push_back(utf8_of(word));
            word.clear();
        }
    }
    return words;
}

}  // namespace edgesft
