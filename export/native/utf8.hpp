// UTF-8 (RFC 3629): what the protocol's lines are written in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace edgesft {

/// Whether a byte stands for itself in UTF-8 and within the quotes of JSON, as all of base64 do.
inline bool is_plain(char byte) { return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\'; }

/// Bytes of the character that begins at `at`; 0 where there is none, as in a file name of another encoding.
inline std::size_t utf8_length(std::string_view text, std::size_t at) {
    auto byte = [&](std::size_t place) -> unsigned {
        return at + place < text.size() ? static_cast<unsigned char>(text[at + place]) : 0;
    };
    unsigned first = byte(0), second = byte(1);
    if (first < 0x80) return 1;
    std::size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    for (std::size_t place = 1; place < length; ++place) {
        if ((byte(place) & 0xC0) != 0x80) return 0;
    }
    // Forms that are longer than they need be, surrogates, and what lies beyond U+10FFFF.
    bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                 (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
    return wrong ? 0 : length;
}

/// Appends the character of this number.
inline void append_utf8(std::string& text, std::uint32_t number) {
    auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
    auto rest = [&](int shift) { put(0x80 | (number >> shift & 0x3F)); };
    if (number < 0x80) {
        put(number);
    } else if (number < 0x800) {
        put(0xC0 | number >> 6), rest(0);
    } else if (number < 0x10000) {
        put(0xE0 | number >> 12), rest(6), rest(0);
    } else {
        put(0xF0 | number >> 18), rest(12), rest(6), rest(0);
    }
}

}  // namespace edgesft
