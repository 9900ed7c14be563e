// What a tokenizer does to a text before it parts it; each character knows where it comes from.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "composed.hpp"
#include "errors.hpp"
#include "fields.hpp"
#include "pattern.hpp"

namespace edgesft {

/// The steps of `BertNormalizer`.
class BertNormaliser {
  public:
    explicit BertNormaliser(const Fields& said)
        : clean_(said.flag("clean_text")), han_(said.flag("handle_chinese_chars")), lower_(said.flag("lowercase")) {
        strip_ = said.given("strip_accents") ? said.flag("strip_accents") : lower_;
    }

    Text operator()(const Text& text) const {
        const Characters& known = Characters::known();
        Text spaced;
        for (std::size_t place = 0; place < text.letters.size(); ++place) {
            char32_t letter = text.letters[place];
            int origin = text.origins[place];
            if (clean_ && known.blank.has(letter)) letter = U' ';
            if (clean_ && letter != U' ' && known.removed.has(letter)) continue;
            bool apart = han_ && known.han.has(letter);
            if (apart) spaced.add(U' ', origin);
            spaced.add(letter, origin);
            if (apart) spaced.add(U' ', origin);
        }
        Text stripped = strip_ ? without_marks(spaced) : std::move(spaced);
        if (!lower_) return stripped;
        Text found;
        for (std::size_t place = 0; place < stripped.letters.size(); ++place) {
            auto lower = known.lower.find(stripped.letters[place]);
            std::u32string letters(1, stripped.letters[place]);
            found.add(lower == known.lower.end() ? letters : lower->second, stripped.origins[place]);
        }
        return found;
    }

  private:
    /// The canonical decomposition, in its order, without marks.
    static Text without_marks(const Text& text) {
        Text whole = decomposed(text), found;
        for (std::size_t place = 0; place < whole.letters.size(); ++place) {
            if (!Characters::known().marks.has(whole.letters[place])) found.add(whole.letters[place], whole.origins[place]);
        }
        return found;
    }

    bool clean_, han_, lower_, strip_;
};

class Normaliser {
  public:
    /// Takes a tokenizer's `normalizer`. Throws Broken where this kit does not know it.
    explicit Normaliser(const Json* json) {
        if (json && !json->is_null()) add(Fields("normalizer", *json));
    }

    Text operator()(Text text) const {
        for (const Step& step : steps_) text = step(text);
        return text;
    }

  private:
    using Step = std::function<Text(const Text&)>;

    void add(const Fields& said) {
        std::string kind = said.text("type");
        if (kind == "BertNormalizer") {
            steps_.push_back(BertNormaliser(said));
        } else if (kind == "NFC") {
            steps_.push_back(composed);
        } else if (kind == "Prepend") {
            steps_.push_back([before = characters_of(said.text("prepend"))](const Text& text) { return text.prepended(before); });
        } else if (kind == "Replace") {
            steps_.push_back([pattern = Pattern(said.object("pattern")), content = characters_of(said.text("content"))](
                                 const Text& text) { return replaced(text, pattern, content); });
        } else if (kind == "Sequence") {
            for (const Json& each : said.list("normalizers")) add(Fields("normalizers", each));
        } else {
            throw Broken("tokenizer.json: normalizer must be one of BertNormalizer, NFC, Prepend, Replace, Sequence, got " +
                         kind);
        }
    }

    static Text replaced(const Text& text, const Pattern& pattern, const std::u32string& content) {
        Text found;
        std::size_t done = 0;
        for (const Span& span : pattern.all(text.letters)) {
            found.add(text, done, span.start);
            found.add(content, text.origins[span.start]);
            done = span.end;
        }
        found.add(text, done, text.letters.size());
        return found;
    }

    std::vector<Step> steps_;
};

}  // namespace edgesft
