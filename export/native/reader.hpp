// Reads JSON strictly: what RFC 8259 does not allow is refused with its place.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "json.hpp"
#include "refusal.hpp"

namespace edgesft {

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    /// The one value of the text.
    Json read() {
        Json found = value(0);
        skip();
        if (at_ != text_.size()) fail("its end");
        return found;
    }

  private:
    /// No request is nested deeper than a few levels; without a limit a line could exhaust the stack.
    static constexpr int DEEPEST = 64;

    [[noreturn]] void fail(const std::string& wanted) const {
        throw Refusal("a line must be one JSON object: expected " + wanted + " at byte " + std::to_string(at_ + 1));
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    bool take(char wanted) {
        if (peek() != wanted || at_ == text_.size()) return false;
        ++at_;
        return true;
    }

    void skip() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
    }

    Json value(int depth) {
        if (depth > DEEPEST) fail("less nesting");
        skip();
        switch (peek()) {
            case '{': return map(depth);
            case '[': return list(depth);
            case '"': return string();
            case 't': return word("true", true);
            case 'f': return word("false", false);
            case 'n': return word("null", nullptr);
            default: return number();
        }
    }

    Json word(std::string_view name, Json meant) {
        if (text_.substr(at_, name.size()) != name) fail("a value");
        at_ += name.size();
        return meant;
    }

    Json map(int depth) {
        Json::Map members;
        for (bool more = (take('{'), skip(), !take('}')); more;) {
            skip();
            if (peek() != '"') fail("a name in quotes");
            std::string name = string();
            skip();
            if (!take(':')) fail("':'");
            members.emplace_back(std::move(name), value(depth + 1));
            more = another('}');
        }
        return members;
    }

    Json list(int depth) {
        Json::List items;
        for (bool more = (take('['), skip(), !take(']')); more;) {
            items.push_back(value(depth + 1));
            more = another(']');
        }
        return items;
    }

    bool another(char close) {
        skip();
        if (take(',')) return true;
        if (!take(close)) fail(std::string("',' or '") + close + "'");
        return false;
    }

    Json number() {
        std::size_t begin = at_;
        take('-');
        if (!take('0')) digits();
        bool whole = true;
        if (take('.')) whole = false, digits();
        if (take('e') || take('E')) {
            whole = false;
            if (!take('+')) take('-');
            digits();
        }
        std::string_view found = text_.substr(begin, at_ - begin);
        std::int64_t integer = 0;
        auto error = std::from_chars(found.data(), found.data() + found.size(), integer).ec;
        if (whole && error == std::errc()) return integer;
        double real = std::strtod(std::string(found).c_str(), nullptr);
        if (!std::isfinite(real)) fail("a number that a double holds before this");
        return real;
    }

    void digits() {
        if (peek() < '0' || peek() > '9') fail("a value");
        while (peek() >= '0' && peek() <= '9') ++at_;
    }

    std::string string() {
        std::string found;
        ++at_;
        // Arrays come as long strings: what needs no look is taken in one piece.
        for (std::size_t begin = at_;;) {
            while (at_ < text_.size() && is_plain(text_[at_])) ++at_;
            unsigned char byte = static_cast<unsigned char>(peek());
            std::size_t length = utf8_length(text_, at_);
            if (at_ == text_.size() || byte < 0x20 || !length) fail("a character of UTF-8 or '\"'");
            if (byte != '"' && byte != '\\') {
                at_ += length;
                continue;
            }
            found += text_.substr(begin, at_ - begin);
            ++at_;
            if (byte == '"') return found;
            escape(found);
            begin = at_;
        }
    }

    void escape(std::string& found) {
        constexpr std::string_view marks = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        std::size_t which = marks.find(peek());
        if (at_ < text_.size() && which != std::string_view::npos) {
            found += meant[which];
            ++at_;
        } else if (take('u')) {
            append_utf8(found, character());
        } else {
            fail("an escape");
        }
    }

    /// The character of one `\u` escape, or of the two that stand for one beyond U+FFFF.
    std::uint32_t character() {
        std::uint32_t first = four_digits();
        if (first < 0xD800 || first > 0xDFFF) return first;
        if (first > 0xDBFF || !take('\\') || !take('u')) fail("a pair of surrogates");
        std::uint32_t second = four_digits();
        if (second < 0xDC00 || second > 0xDFFF) fail("a pair of surrogates");
        return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    }

    std::uint32_t four_digits() {
        std::string_view digits = text_.substr(at_, 4);
        std::uint32_t number = 0;
        auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
        if (error != std::errc() || end != digits.data() + 4) fail("four hexadecimal digits");
        at_ += 4;
        return number;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace edgesft
