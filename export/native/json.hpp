// JSON values (RFC 8259), and how they are written on one line. `reader.hpp` reads them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "utf8.hpp"

namespace edgesft {

class Json {
  public:
    using List = std::vector<Json>;
    /// Members in the order in which they stand, for an answer shows names in the order they were asked.
    using Map = std::vector<std::pair<std::string, Json>>;

    Json() = default;
    Json(std::nullptr_t) {}
    Json(bool value) : value_(value) {}
    Json(double value) : value_(value) {}
    Json(const char* value) : value_(std::string(value)) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(List value) : value_(std::move(value)) {}
    Json(Map value) : value_(std::move(value)) {}

    template <typename T, typename = std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>>
    Json(T value) : value_(static_cast<std::int64_t>(value)) {}

    /// Null where there is none: what a system does not tell.
    template <typename T>
    Json(const std::optional<T>& value) : Json(value ? Json(*value) : Json()) {}

    template <typename T, typename = std::enable_if_t<!std::is_same_v<T, Json>>>
    Json(const std::vector<T>& values) : value_(List(values.begin(), values.end())) {}

    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }

    /// The value as a bool, int64_t, double, string, List or Map; nullptr where it is another.
    template <typename T>
    const T* as() const {
        return std::get_if<T>(&value_);
    }

    /// The member of this name, the last one if there are several; nullptr where there is none.
    const Json* find(std::string_view name) const {
        const Map* map = as<Map>();
        const Json* found = nullptr;
        for (std::size_t place = 0; map && place < map->size(); ++place) {
            if ((*map)[place].first == name) found = &(*map)[place].second;
        }
        return found;
    }

    /// The value on one line.
    std::string text() const {
        std::string out;
        append(out);
        return out;
    }

  private:
    void append(std::string& out) const {
        if (is_null()) {
            out += "null";
        } else if (auto flag = as<bool>()) {
            out += *flag ? "true" : "false";
        } else if (auto whole = as<std::int64_t>()) {
            out += std::to_string(*whole);
        } else if (auto number = as<double>()) {
            append_number(out, *number);
        } else if (auto words = as<std::string>()) {
            append_string(out, *words);
        } else if (auto list = as<List>()) {
            append_all(out, *list, '[', ']', [&](const Json& item) { item.append(out); });
        } else {
            append_all(out, *as<Map>(), '{', '}', [&](const auto& member) {
                append_string(out, member.first);
                out += ':';
                member.second.append(out);
            });
        }
    }

    template <typename Items, typename Put>
    static void append_all(std::string& out, const Items& items, char open, char close, Put put) {
        out += open;
        for (std::size_t place = 0; place < items.size(); ++place) {
            if (place) out += ',';
            put(items[place]);
        }
        out += close;
    }

    static void append_number(std::string& out, double number) {
        // JSON has no infinity; 17 digits are enough for any double, and fewer are for most.
        char digits[32] = "null";
        for (int precision = 15; std::isfinite(number) && precision <= 17; ++precision) {
            std::snprintf(digits, sizeof digits, "%.*g", precision, number);
            if (std::strtod(digits, nullptr) == number) break;
        }
        out += digits;
        if (std::string_view(digits).find_first_of(".en") == std::string_view::npos) out += ".0";
    }

    static void append_string(std::string& out, std::string_view text) {
        out += '"';
        for (std::size_t at = 0; at < text.size();) {
            std::size_t begin = at;
            while (at < text.size() && is_plain(text[at])) ++at;
            out += text.substr(begin, at - begin);
            if (at == text.size()) break;
            std::size_t length = utf8_length(text, at);
            unsigned char byte = static_cast<unsigned char>(text[at]);
            if (length == 1 && (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7F)) {
                char escaped[8];
                std::snprintf(escaped, sizeof escaped, byte == '"' || byte == '\\' ? "\\%c" : "\\u%04x", byte);
                out += escaped;
            } else if (length) {
                out += text.substr(at, length);
            } else {
                out += "\uFFFD";  // what the runtime quotes may hold any bytes, and the line must be UTF-8
            }
            at += length ? length : 1;
        }
        out += '"';
    }

    std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, List, Map> value_ = nullptr;
};

}  // namespace edgesft
