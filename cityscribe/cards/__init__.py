"""What a checkpoint says of itself: a model card for people, a bill of materials for programs, from the same facts.

    facts = facts_of(...)                  # `facts`: base, data, settings, scores, groups, digests, from a run folder
    write_text(folder / CARD, card_of(facts))          # `card`: README.md with a YAML head, as Hugging Face shows it
    write_json(folder / BOM, bill_of_materials(facts)) # `bom`: CycloneDX 1.6

Equal runs give equal bytes: no dates, no places on the machine.
"""
