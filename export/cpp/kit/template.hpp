// What stands around the tokens of a text, or of two: special tokens, and which part each token is of.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "fields.hpp"

namespace edgesft {

/// Special tokens, or where the tokens of a text go.
struct Place {
    std::vector<std::int64_t> ids;
    /// Which text; -1 for special tokens.
    int sequence;
    std::int64_t type;
};

using Places = std::vector<Place>;

/// How many special tokens there are.
inline std::size_t added(const Places& places) {
    std::size_t count = 0;
    for (const Place& place : places) count += place.ids.size();
    return count;
}

struct Template {
    /// The places for one text, and for two.
    Places single = {{{}, 0, 0}}, pair = {{{}, 0, 0}, {{}, 1, 1}};
    /// Whether windows after the first have each text's number as its type: there the library leaves them as they were before.
    bool resets = false;
    /// Whether a token covers the spaces within it no more.
    bool trims = false;

    Template() = default;

    /// Takes a tokenizer's `post_processor`. Throws Broken where this kit does not know it.
    explicit Template(const Json* json) {
        if (!json || json->is_null()) return;
        Fields said("post_processor", *json);
        std::string kind = said.text("type");
        if (kind == "ByteLevel") {
            trims = said.flag("trim_offsets");
        } else if (kind == "Sequence") {
            several(said);
        } else if (kind == "TemplateProcessing") {
            single = places(said, "single");
            pair = places(said, "pair");
            resets = true;
        } else if (kind == "RobertaProcessing" || kind == "BertProcessing") {
            around(said, kind == "RobertaProcessing");
        } else {
            throw Broken("tokenizer.json: post_processor must be a template, got " + kind);
        }
    }

  private:
    void several(const Fields& said) {
        bool trimmed = false;
        std::size_t adding = 0;
        for (const Json& each : said.list("processors")) {
            Template one(&each);
            trimmed = trimmed || one.trims;
            if (one.single.size() > 1) *this = one, ++adding;
        }
        if (adding != 1) {
            throw Broken("tokenizer.json: post_processor must have one that adds tokens, got " + std::to_string(adding));
        }
        trims = trimmed;
    }

    void around(const Fields& said, bool roberta) {
        auto special = [&](const char* name, std::int64_t type) {
            const Json::List& found = said.list(name);
            if (found.size() != 2 || !found[1].as<std::int64_t>()) refuse(name, "a token and its number", said.find(name));
            return Place{{*found[1].as<std::int64_t>()}, -1, type};
        };
        single = {special("cls", 0), {{}, 0, 0}, special("sep", 0)};
        pair = single;
        if (roberta) pair.push_back(special("sep", 0));
        pair.push_back({{}, 1, roberta ? 0 : 1});
        pair.push_back(special("sep", roberta ? 0 : 1));
        trims = roberta && said.flag("trim_offsets");
    }

    static Places places(const Fields& said, const char* name) {
        Places found;
        for (const Json& each : said.list(name)) {
            Fields one(name, each);
            if (const Json* text = one.find("Sequence")) {
                Fields own("Sequence", *text);
                found.push_back({{}, own.text("id") == "B" ? 1 : 0, own.whole("type_id", 0)});
            } else {
                Fields own = one.object("SpecialToken");
                std::string id = own.text("id");
                found.push_back({said.object("special_tokens").object(id).wholes("ids"), -1, own.whole("type_id", 0)});
            }
        }
        return found;
    }
};

}  // namespace edgesft
