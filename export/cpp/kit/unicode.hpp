// Characters of UTF-8, and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "utf8.hpp"

namespace edgesft {

/// The characters of a text; a byte that is no UTF-8 is U+FFFD.
inline std::u32string characters_of(std::string_view text) {
    std::u32string found;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = utf8_length(text, at);
        unsigned char first = static_cast<unsigned char>(text[at]);
        char32_t letter = length > 1 ? first & (0x7F >> length) : first;
        for (std::size_t place = 1; place < length; ++place) {
            letter = letter << 6 | (static_cast<unsigned char>(text[at + place]) & 0x3F);
        }
        found += length ? letter : U'\uFFFD';
        at += length ? length : 1;
    }
    return found;
}

inline std::string utf8_of(std::u32string_view letters) {
    std::string text;
    for (char32_t letter : letters) append_utf8(text, letter);
    return text;
}

}  // namespace edgesft
