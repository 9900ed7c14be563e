// Reads regular expressions of a `tokenizer.json`, as far as tokenizers have them: those of C++ know no Unicode.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "kinds.hpp"
#include "unicode.hpp"

namespace edgesft {

/// One step of a pattern; `one` and `other` are as many steps away.
struct PatternStep {
    enum Does { TAKE, FORK, JUMP, AHEAD, END } does;
    /// Of TAKE: the characters that it takes.
    Kind kind = {};
    /// Of FORK where it goes on, and where if that fails; of JUMP where; of AHEAD behind what is looked at.
    std::ptrdiff_t one = 0, other = 0;
    /// Of AHEAD: whether it must not be there.
    bool negated = false;
};

using PatternSteps = std::vector<PatternStep>;

/// Reads a pattern: alternatives, groups, classes, general categories, what is repeated, what lies ahead.
class PatternReader {
  public:
    explicit PatternReader(std::string_view pattern) : said_(pattern), left_(characters_of(pattern)) {}

    PatternSteps read() {
        PatternSteps found = alternatives();
        if (at_ != left_.size()) fail("')' without '('");
        found.push_back({PatternStep::END});
        return found;
    }

  private:
    static constexpr std::int64_t MOST = 1000;  // for repetitions are written out

    [[noreturn]] void fail(const std::string& why) const {
        throw Broken("tokenizer.json: a pattern must be one that this kit reads, got '" + said_ + "': " + why);
    }

    bool ends() const { return at_ == left_.size(); }

    bool take(std::u32string_view wanted) {
        if (left_.compare(at_, wanted.size(), wanted) != 0) return false;
        at_ += wanted.size();
        return true;
    }

    char32_t next() {
        if (ends()) fail("it was cut short");
        return left_[at_++];
    }

    static void append(PatternSteps& all, const PatternSteps& more) { all.insert(all.end(), more.begin(), more.end()); }

    static std::ptrdiff_t size(const PatternSteps& steps) { return static_cast<std::ptrdiff_t>(steps.size()); }

    PatternSteps alternatives() {
        if (++depth_ > 50) fail("groups are too deep");
        PatternSteps one = sequence();
        if (take(U"|")) {
            PatternSteps rest = alternatives(), found = {{PatternStep::FORK, {}, 1, size(one) + 2}};
            append(found, one);
            found.push_back({PatternStep::JUMP, {}, size(rest) + 1});
            append(found, rest);
            one = std::move(found);
        }
        --depth_;
        return one;
    }

    PatternSteps sequence() {
        PatternSteps found;
        while (!ends() && left_[at_] != U'|' && left_[at_] != U')') append(found, repeated(atom()));
        return found;
    }

    PatternSteps repeated(PatternSteps body) {
        auto [least, most] = bounds();
        if (least == 1 && most == 1) return body;
        bool lazy = take(U"?");
        if (take(U"+")) fail("possessive repetition");
        auto fork = [&](std::ptrdiff_t on, std::ptrdiff_t past) {
            return PatternStep{PatternStep::FORK, {}, lazy ? past : on, lazy ? on : past};
        };
        PatternSteps found, rest;
        for (std::int64_t count = 0; count < least; ++count) append(found, body);
        if (most < 0) {
            if (can_be_empty(body)) fail("what is repeated may be empty");
            rest.push_back(fork(1, size(body) + 2));
            append(rest, body);
            rest.push_back({PatternStep::JUMP, {}, -size(body) - 1});
        }
        for (std::int64_t count = least; count < most; ++count) {
            PatternSteps more = {fork(1, size(body) + size(rest) + 1)};
            append(more, body);
            append(more, rest);
            rest = std::move(more);
        }
        append(found, rest);
        return found;
    }

    /// How often at least and at most what stands before; -1 where that is without end.
    std::pair<std::int64_t, std::int64_t> bounds() {
        if (take(U"?")) return {0, 1};
        if (take(U"*")) return {0, -1};
        if (take(U"+")) return {1, -1};
        if (!take(U"{")) return {1, 1};
        std::int64_t least = number(), most = least;
        if (take(U",")) most = left_.compare(at_, 1, U"}") == 0 ? -1 : number();
        if (!take(U"}") || (most >= 0 && most < least)) fail("repetition must be {n}, {n,} or {n,m}");
        return {least, most};
    }

    std::int64_t number() {
        std::int64_t found = 0;
        std::size_t begin = at_;
        for (; !ends() && left_[at_] >= U'0' && left_[at_] <= U'9' && found <= MOST; ++at_) {
            found = 10 * found + left_[at_] - U'0';
        }
        if (at_ == begin || found > MOST) fail("repetition must be a number up to " + std::to_string(MOST));
        return found;
    }

    /// Whether some way through takes nothing.
    static bool can_be_empty(const PatternSteps& steps) {
        std::vector<bool> seen(steps.size() + 1, false);
        std::vector<std::ptrdiff_t> waiting = {0};
        while (!waiting.empty()) {
            auto at = static_cast<std::size_t>(waiting.back());
            waiting.pop_back();
            if (at == steps.size()) return true;
            if (seen[at] || steps[at].does == PatternStep::TAKE) continue;
            seen[at] = true;
            waiting.push_back(static_cast<std::ptrdiff_t>(at) + steps[at].one);
            if (steps[at].does == PatternStep::FORK) waiting.push_back(static_cast<std::ptrdiff_t>(at) + steps[at].other);
        }
        return false;
    }

    PatternSteps atom() {
        if (take(U"(")) return group();
        Kind kind;
        if (take(U"[")) {
            kind = characters_in_class();
        } else if (take(U".")) {
            kind.add(U'\n', U'\n');
            kind = kind.others();
        } else {
            char32_t letter = next();
            if (std::u32string_view(U"*+?{^$").find(letter) != std::u32string_view::npos) fail("'" + utf8_of({&letter, 1}) + "'");
            kind = letter == U'\\' ? escaped() : of(letter);
        }
        return {{PatternStep::TAKE, either_case_ ? either_case(kind) : kind}};
    }

    PatternSteps group() {
        bool before = either_case_;
        bool ahead = take(U"?="), not_ahead = !ahead && take(U"?!");
        if (!ahead && !not_ahead) {
            if (take(U"?i:")) either_case_ = true;
            else if (!take(U"?:") && take(U"?")) fail("a group of this kind");
        }
        PatternSteps found = alternatives();
        if (!take(U")")) fail("'(' without ')'");
        either_case_ = before;
        if (!ahead && !not_ahead) return found;
        PatternSteps look = {{PatternStep::AHEAD, {}, size(found) + 2, 0, not_ahead}};
        append(look, found);
        look.push_back({PatternStep::END});
        return look;
    }

    static Kind of(char32_t letter) {
        Kind found;
        found.add(letter, letter);
        return found;
    }

    Kind characters_in_class() {
        bool negated = take(U"^");
        Kind found;
        for (bool first = true; first || left_.compare(at_, 1, U"]") != 0; first = false) {
            char32_t letter = next();
            if (letter == U'[' || (letter == U'&' && left_.compare(at_, 1, U"&") == 0)) fail("classes in classes");
            Kind one = letter == U'\\' ? escaped() : of(letter);
            bool range = at_ + 1 < left_.size() && left_[at_] == U'-' && left_[at_ + 1] != U']';
            if (!range) {
                found.add(one);
                continue;
            }
            ++at_;
            char32_t last = next();
            if (letter == U'\\' || last == U'\\' || last < letter) fail("a range must be of two letters");
            found.add(letter, last);
        }
        ++at_;
        return negated ? found.others() : found;
    }

    /// What stands behind a backslash.
    Kind escaped() {
        constexpr std::u32string_view marks = U"rntfv", meant = U"\r\n\t\f\v";
        char32_t letter = next();
        if (std::size_t which = marks.find(letter); which != std::u32string_view::npos) return of(meant[which]);
        if (letter == U's') return Characters::known().space;
        if (letter == U'S') return Characters::known().space.others();
        if (letter == U'd') return category("Nd");
        if (letter == U'D') return category("Nd").others();
        if (letter == U'p' || letter == U'P') return property(letter == U'P');
        bool digit = letter >= U'0' && letter <= U'9', alphabetic = (letter | 0x20) >= U'a' && (letter | 0x20) <= U'z';
        if (letter >= 0x80 || digit || alphabetic) fail("'\\" + utf8_of({&letter, 1}) + "'");
        return of(letter);
    }

    Kind property(bool negated) {
        if (!take(U"{")) fail("a property without a name");
        if (take(U"^")) negated = !negated;
        std::string name;
        while (!ends() && left_[at_] != U'}') append_utf8(name, left_[at_++]);
        Kind found = name.empty() ? Kind() : category(name);
        if (!take(U"}") || found.empty()) fail("properties must be general categories");
        return negated ? found.others() : found;
    }

    /// With the other case of its letters; the long s is a small one of S, too.
    static Kind either_case(const Kind& kind) {
        Kind found = kind;
        for (const auto& [upper, lower] : Characters::known().lower) {
            if (lower.size() != 1 || kind.has(upper) == kind.has(lower[0])) continue;
            found.add(upper, upper);
            found.add(lower[0], lower[0]);
        }
        if (found.has(U's')) found.add(U'\u017F', U'\u017F');
        return found;
    }

    std::string said_;
    std::u32string left_;
    std::size_t at_ = 0;
    int depth_ = 0;
    bool either_case_ = false;
};

}  // namespace edgesft
