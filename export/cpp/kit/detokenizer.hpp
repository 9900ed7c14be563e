// Text of tokens by a `tokenizer.json`, the same as the library tokenizers gives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "normaliser.hpp"
#include "pairs.hpp"

namespace edgesft {

/// What stands for bytes that are no character.
constexpr std::string_view NOTHING = "\uFFFD";

class Detokenizer {
  public:
    /// Throws Broken where it has a part that this kit does not know.
    explicit Detokenizer(const Json& json) {
        Fields all("tokenizer.json", json);
        for (const auto& [name, id] : all.object("model").object("vocab").members()) {
            if (id.as<std::int64_t>()) names_[*id.as<std::int64_t>()] = name;
        }
        Normaliser normalise(json.find("normalizer"));
        for (const Json& each : all.list("added_tokens")) {
            Fields said("added_tokens", each);
            std::int64_t id = said.whole("id", 0);
            std::string name = said.text("content");
            // The library tells names as it finds them.
            names_[id] = said.flag("normalized") ? utf8_of(normalise(Text(name)).letters) : name;
            if (said.flag("special")) special_.insert(id);
        }
        if (all.given("decoder")) add(all.object("decoder"));
        else steps_.push_back(apart);
    }

    /// The text of tokens, without special ones; what is half a character ends in U+FFFD.
    std::string operator()(const std::vector<std::int64_t>& tokens) const {
        Words words;
        for (std::int64_t token : tokens) {
            auto name = names_.find(token);
            if (name != names_.end() && !special_.count(token)) words.push_back(name->second);
        }
        for (const Step& step : steps_) words = step(words);
        return joined(words);
    }

  private:
    using Words = std::vector<std::string>;
    using Step = std::function<Words(const Words&)>;

    static std::string joined(const Words& words, const char* between = "") {
        std::string found;
        for (std::size_t place = 0; place < words.size(); ++place) found += (place ? between : "") + words[place];
        return found;
    }

    static Words apart(const Words& words) { return {joined(words, " ")}; }
    static Words fused(const Words& words) { return {joined(words)}; }

    void add(const Fields& said) {
        std::string kind = said.text("type");
        if (kind == "ByteLevel") {
            steps_.push_back(of_bytes);
        } else if (kind == "ByteFallback") {
            steps_.push_back(spelled);
        } else if (kind == "Fuse") {
            steps_.push_back(fused);
        } else if (kind == "Metaspace") {
            steps_.push_back(marked(said));
        } else if (kind == "Replace") {
            steps_.push_back(replaced(said));
        } else if (kind == "Strip") {
            steps_.push_back(stripped(said));
        } else if (kind == "Sequence") {
            for (const Json& each : said.list("decoders")) add(Fields("decoders", each));
        } else {
            throw Broken("tokenizer.json: decoder must be one of ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip, "
                         "Sequence, got " + kind);
        }
    }

    static Step each(std::function<std::string(const std::string&)> change) {
        return [change](Words words) {
            for (std::string& word : words) word = change(word);
            return words;
        };
    }

    /// The bytes that letters stand for, as text.
    static Words of_bytes(const Words& words) {
        static const std::unordered_map<char32_t, unsigned char> known = [] {
            std::unordered_map<char32_t, unsigned char> found;
            for (std::size_t byte = 0; byte < 0x100; ++byte) found[byte_letters()[byte]] = static_cast<unsigned char>(byte);
            return found;
        }();
        std::string bytes;
        for (const std::string& word : words) {
            std::string own;
            for (char32_t letter : characters_of(word)) {
                auto byte = known.find(letter);
                // A token that was added need not be of the letters that stand for bytes.
                if (byte == known.end()) {
                    own = word;
                    break;
                }
                own += static_cast<char>(byte->second);
            }
            bytes += own;
        }
        return {readable(bytes)};
    }

    /// Bytes with U+FFFD for each run of them that begins a character and does not end it, or is none.
    static std::string readable(std::string_view bytes) {
        std::string found;
        for (std::size_t at = 0; at < bytes.size();) {
            std::size_t length = utf8_length(bytes, at);
            if (length) {
                found += bytes.substr(at, length);
                at += length;
                continue;
            }
            found += NOTHING;
            // As long as a further byte would do (The Unicode Standard, section 3.9, on maximal subparts).
            std::size_t more = 1;
            while (at + more < bytes.size() && begins(std::string(bytes.substr(at, more + 1)))) ++more;
            at += more;
        }
        return found;
    }

    /// Whether several bytes are the beginning of some character, but not the whole of it.
    static bool begins(const std::string& bytes) {
        std::string whole = bytes;
        while (whole.size() < 4 && !utf8_length(whole, 0)) whole += '\x80';
        return utf8_length(whole, 0) > bytes.size();
    }

    /// Tokens of a byte each become what they are together; where that is nothing, each is U+FFFD.
    static Words spelled(const Words& words) {
        Words found;
        std::string held;
        auto let_go = [&] {
            bool whole = true;
            for (std::size_t at = 0, length; at < held.size() && whole; at += length) whole = (length = utf8_length(held, at)) > 0;
            if (whole && !held.empty()) found.push_back(held);
            if (!whole) found.insert(found.end(), held.size(), std::string(NOTHING));
            held.clear();
        };
        for (const std::string& word : words) {
            unsigned byte = 0;
            bool spells = word.size() == 6 && word.rfind("<0x", 0) == 0;
            for (unsigned place = 0; spells && place < 2; ++place) {
                std::size_t digit = std::string_view("0123456789ABCDEF").find(word[3 + place]);
                spells = digit != std::string_view::npos;
                byte = byte << 4 | static_cast<unsigned>(digit);
            }
            if (spells && word[5] == '>') {
                held += static_cast<char>(byte);
                continue;
            }
            let_go();
            found.push_back(word);
        }
        let_go();
        return found;
    }

    static Step replaced(const Fields& said) {
        return each([pattern = Pattern(said.object("pattern")), content = said.text("content")](const std::string& word) {
            std::u32string letters = characters_of(word);
            std::string found;
            std::size_t done = 0;
            for (const Span& span : pattern.all(letters)) {
                found += utf8_of(std::u32string_view(letters).substr(done, span.start - done)) + content;
                done = span.end;
            }
            return found + utf8_of(std::u32string_view(letters).substr(done));
        });
    }

    static Step stripped(const Fields& said) {
        auto first = static_cast<std::size_t>(said.whole("start", 0)), last = static_cast<std::size_t>(said.whole("stop", 0));
        std::u32string content = characters_of(said.text("content"));
        if (content.size() != 1) throw Broken("tokenizer.json: decoder Strip must have a letter as content");
        return each([first, last, content](const std::string& word) {
            std::u32string letters = characters_of(word);
            std::size_t start = 0, end = letters.size(), most = std::min(first, end);
            while (start < most && letters[start] == content[0]) ++start;
            std::size_t least = std::max(start, end > last ? end - last : 0);
            while (end > least && letters[end - 1] == content[0]) --end;
            return utf8_of(std::u32string_view(letters).substr(start, end - start));
        });
    }

    /// SentencePiece's: a letter stands for a blank, of which those of the first token were put there.
    static Step marked(const Fields& said) {
        std::u32string mark = characters_of(said.text("replacement"));
        bool put = !said.given("prepend_scheme") || said.text("prepend_scheme") != "never";
        return [mark, put](const Words& words) {
            Words found;
            for (const std::string& word : words) {
                std::u32string letters;
                for (char32_t letter : characters_of(word)) {
                    if (mark != std::u32string_view(&letter, 1)) letters += letter;
                    else if (!put || !found.empty()) letters += U' ';
                }
                found.push_back(utf8_of(letters));
            }
            return found;
        };
    }

    std::unordered_map<std::int64_t, std::string> names_;
    std::set<std::int64_t> special_;
    std::vector<Step> steps_;
};

}  // namespace edgesft
