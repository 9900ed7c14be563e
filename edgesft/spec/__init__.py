"""What a person writes: recipes, profiles, budgets; and every problem with them, with its place."""
