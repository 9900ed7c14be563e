// The fields of a request, each with what it must be.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"
#include "refusal.hpp"

namespace edgesft {

/// Name → text, in the order of the request.
using Texts = std::vector<std::pair<std::string, std::string>>;

/// A value as a message shows it; nullptr where there is none.
inline std::string shown(const Json* value) {
    constexpr std::size_t longest = 60;
    std::string text = value ? value->text() : "nothing";
    if (text.size() <= longest) return text;
    std::size_t end = longest;
    while (!utf8_length(text, end)) --end;  // never within a character
    return text.substr(0, end) + "…";
}

[[noreturn]] inline void refuse(std::string_view name, std::string_view wanted, const Json* got) {
    throw Refusal(std::string(name) + " must be " + std::string(wanted) + ", got " + shown(got));
}

class Fields {
  public:
    /// A view of an object, which must outlive it. Throws Refusal where it is none.
    Fields(std::string_view what, const Json& object) : object_(object) {
        if (!object.as<Json::Map>()) refuse(what, "an object", &object);
    }

    Fields(std::string_view what, Json&& object) = delete;

    const Json::Map& members() const { return *object_.as<Json::Map>(); }

    const Json* find(std::string_view name) const { return object_.find(name); }

    /// A field that may be left out or null.
    const Json* given(std::string_view name) const {
        const Json* value = find(name);
        return value && !value->is_null() ? value : nullptr;
    }

    std::string text(std::string_view name) const {
        const Json* value = find(name);
        const std::string* found = value ? value->as<std::string>() : nullptr;
        if (!found) refuse(name, "text", value);
        return *found;
    }

    std::int64_t whole(std::string_view name, std::int64_t least) const {
        const Json* value = find(name);
        const std::int64_t* found = value ? value->as<std::int64_t>() : nullptr;
        if (!found || *found < least) refuse(name, "an integer of at least " + std::to_string(least), value);
        return *found;
    }

    double number(std::string_view name) const {
        const Json* value = find(name);
        if (value && value->as<double>()) return *value->as<double>();
        if (value && value->as<std::int64_t>()) return static_cast<double>(*value->as<std::int64_t>());
        refuse(name, "a number", value);
    }

    bool flag(std::string_view name) const {
        const Json* value = given(name);
        if (value && !value->as<bool>()) refuse(name, "true or false", value);
        return value && *value->as<bool>();
    }

    Fields object(std::string_view name) const {
        const Json* value = find(name);
        if (!value) refuse(name, "an object", value);
        return Fields(name, *value);
    }

    const Json::List& list(std::string_view name) const {
        const Json* value = find(name);
        const Json::List* found = value ? value->as<Json::List>() : nullptr;
        if (!found) refuse(name, "a list", value);
        return *found;
    }

    std::vector<std::int64_t> wholes(std::string_view name) const {
        std::vector<std::int64_t> found;
        for (const Json& item : list(name)) {
            if (!item.as<std::int64_t>()) refuse(name, "a list of integers", find(name));
            found.push_back(*item.as<std::int64_t>());
        }
        return found;
    }

    std::vector<std::string> words(std::string_view name) const {
        std::vector<std::string> found;
        for (const Json& item : list(name)) {
            if (!item.as<std::string>()) refuse(name, "a list of text", find(name));
            found.push_back(*item.as<std::string>());
        }
        return found;
    }

    /// An object of text; empty where it is left out or null.
    Texts texts(std::string_view name) const {
        Texts found;
        const Json* value = given(name);
        if (value && !value->as<Json::Map>()) refuse(name, "an object of text", value);
        for (const auto& [key, each] : value ? *value->as<Json::Map>() : Json::Map()) {
            if (!each.as<std::string>()) refuse(name, "an object of text", value);
            found.emplace_back(key, *each.as<std::string>());
        }
        return found;
    }

  private:
    const Json& object_;
};

}  // namespace edgesft
